import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

let count = 0;

/** A secret that stands nowhere else, so that finding it anywhere is a leak. */
export function canary(): string {
  return `canary-${process.pid}-${++count}-Zq7/x+${Math.random().toString(36).slice(2)}`;
}

const formsOf = (secret: string) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -1),
  Buffer.from(secret).toString('hex'),
];

/** Fails when a text holds a secret in any of its usual forms. */
export function expectNoCanary(where: string, text: string, secrets: readonly string[]): void {
  for (const [i, secret] of secrets.entries()) {
    for (const form of formsOf(secret)) expect(text.includes(form), `${where} holds canary ${i}`).equal(false);
  }
}

/** Every file below a folder, as one text. */
export function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
    .map((path) => readFileSync(path, 'latin1'))
    .join('\n');
}
