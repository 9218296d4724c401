import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { schemasFolder } from '../ops/schemas-folder.ts';

export interface StatusPage {
  readonly html: string;
  /** The Content-Security-Policy: this page's own style and script, calls to this daemon, and nothing else. */
  readonly policy: string;
}

/** Reads the status page, one file with its style and script inside. */
export function readStatusPage(): StatusPage {
  const html = readFileSync(join(schemasFolder(), '../daemon/admin/status-page.html'), 'utf8');
  const policy = [
    "default-src 'none'",
    `style-src ${hashesOf(html, 'style')}`,
    `script-src ${hashesOf(html, 'script')}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return { html, policy: policy.join('; ') };
}

function hashesOf(html: string, element: 'style' | 'script'): string {
  const contents = [...html.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'))].map(
    ([, content]) => content!,
  );
  return contents.map((content) => `'sha256-${hash('sha256', content, 'base64')}'`).join(' ');
}
