import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';

const root = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'SECURITY.md'), 'utf8');

describe('SECURITY.md', () => {
  it('names only tests that are there', () => {
    const named = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file!);
    expect(named.length).greaterThan(20);
    for (const file of named) expect(existsSync(join(root, file)), file).equal(true);
  });

  it('says for each of those who might do harm what stops them, and which test holds it', () => {
    const rows = text.split('\n').filter((line) => line.startsWith('| **'));
    const who = rows.map((row) => /^\| \*\*(.+?)\*\*/.exec(row)![1]);
    expect(who).include.members([
      'another user of the host',
      'a program of a limited view',
      'a program of the default view',
      'who can write a source',
      'who can publish on the topic',
      "a page in an operator's browser",
      'root',
    ]);
    for (const row of rows) expect(row.split(' | ').at(-1), row.slice(0, 40)).match(/`test\/.+\.test\.ts`/);
  });

  it('supports the version that this is', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(text).contain(`| ${version.split('.').slice(0, 2).join('.')}.x | yes |`);
  });
});
