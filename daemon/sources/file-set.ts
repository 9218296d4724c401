import { isUtf8 } from 'node:buffer';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { systemCode } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import type { FileOptions } from '../ops/options.ts';

/** One file of a source, wherever it is now. */
export interface Member {
  readonly path: string;
  /** As a person would name it. */
  readonly name: string;
  readonly root: FileOptions;
  /** The key below `at` under which a file of a folder of plain texts is served. */
  readonly key?: string;
  /** Its name is not valid UTF-8, so that no path in a text leads to it. */
  readonly isMisnamed?: boolean;
}

const extensions: Readonly<Record<string, Format>> = {
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.json': 'json',
  '.env': 'env',
};

/** The format by a file's name; `.env` itself counts as one. */
export function formatOf(path: string): Format | undefined {
  return extensions[extname(path)] ?? (path.endsWith('/.env') ? 'env' : undefined);
}

/** Whether a folder's entry is one of its settings files: not hidden, not an editor's, of a known kind. */
export function isSettingsFile(root: FileOptions, name: string): boolean {
  if (name.startsWith('.') || /(~|\.swp|\.tmp)$/.test(name)) return false;
  return root.format === 'text' || Object.hasOwn(extensions, extname(name));
}

/** The files that a path stands for now, in order: the file itself, or those in the folder; `'missing'` without one. */
export async function listMembers(root: FileOptions): Promise<readonly Member[] | 'missing'> {
  try {
    if (!(await stat(root.path)).isDirectory()) return [{ path: root.path, name: root.name, root }];
    const entries = await readdir(root.path, { encoding: 'buffer' });
    const members = entries.map((entry) => {
      const member = memberOf(root, entry.toString());
      return isUtf8(entry) ? member : { ...member, isMisnamed: true };
    });
    const byName = (a: Member, b: Member) => (a.path < b.path ? -1 : 1);
    return members.filter(({ path }) => isSettingsFile(root, basename(path))).sort(byName);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return 'missing';
    throw error;
  }
}

/** The member that a folder's entry is. */
export function memberOf(root: FileOptions, name: string): Member {
  return {
    path: join(root.path, name),
    name: join(root.name, name),
    root,
    ...(root.format === 'text' && { key: name }),
  };
}

/** The member that a part of this name came from; `undefined` when no root can hold it. */
export function memberNamed(roots: readonly FileOptions[], name: string): Member | undefined {
  const root = roots.find((root) => name === root.name || name === join(root.name, basename(name)));
  if (!root) return undefined;
  return name === root.name ? { path: root.path, name, root } : memberOf(root, basename(name));
}
