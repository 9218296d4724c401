import { expect } from 'chai';
import { exposureOf, mayRead, mayWrite, type Place } from '../../../daemon/ops/file-access.ts';

const place = (path: string, uid: number, gid: number, mode: number): Place => ({ path, stats: { uid, gid, mode } });
const root = place('/', 0, 0, 0o755);
const tmp = place('/tmp', 0, 0, 0o1777);
const reader = { uid: 995, gids: [995, 50] };

describe('who can get at a secret file', () => {
  const closed = place('/etc/hotconf', 0, 995, 0o750);
  const open = place('/etc/hotconf', 0, 0, 0o755);
  const file = (uid: number, gid: number, mode: number) => place('/etc/hotconf/key', uid, gid, mode);
  const cases: [string, Place, Place[], 'own' | 'any', RegExp | undefined][] = [
    ['its own, for it alone', file(995, 995, 0o600), [open, root], 'own', undefined],
    ["root's, for a group that the reader is in", file(0, 50, 0o640), [open, root], 'own', undefined],
    ["root's, for root's group", file(0, 0, 0o640), [open, root], 'own', undefined],
    ['for a group that the reader is not in', file(0, 33, 0o640), [open, root], 'own', /group 33/],
    ['the same, where a group may be chosen', file(0, 33, 0o640), [open, root], 'any', undefined],
    ['for a group to write that the reader is not in', file(0, 33, 0o660), [open, root], 'any', /group 33/],
    ['for all', file(0, 0, 0o644), [open, root], 'own', /by everybody/],
    ['for all, behind a folder that others may not enter', file(0, 0, 0o644), [closed, root], 'own', undefined],
    ["a stranger's", file(1, 1, 0o600), [open, root], 'own', /belongs to uid 1, neither root nor/],
    [
      "in a stranger's folder",
      file(995, 995, 0o600),
      [place('/x', 1, 1, 0o755), root],
      'own',
      /lies in \/x, which belongs to uid 1/,
    ],
    [
      'in a folder for all to write',
      file(995, 995, 0o600),
      [place('/x', 0, 0, 0o777), root],
      'own',
      /lies in \/x, which everybody/,
    ],
    [
      'in a folder for another group to write',
      file(995, 995, 0o600),
      [place('/x', 0, 33, 0o775), root],
      'any',
      /lies in \/x, which the group 33 may write to/,
    ],
    [
      'in a folder for its own group to write',
      file(995, 995, 0o600),
      [place('/x', 0, 50, 0o775), root],
      'own',
      undefined,
    ],
    ['in a folder where nobody can take what is not theirs', file(995, 995, 0o600), [tmp, root], 'own', undefined],
  ];
  for (const [what, secret, folders, groups, expected] of cases)
    it(`${expected ? 'refuses' : 'takes'} one that is ${what}`, () => {
      const found = exposureOf(secret, folders, { reader, groups });
      if (expected) expect(found?.what).match(expected);
      else expect(found).equal(undefined);
    });

  it('is decided as the kernel does', () => {
    const stats = (uid: number, gid: number, mode: number) => ({ uid, gid, mode });
    expect(mayRead(stats(0, 0, 0), { uid: 0, gids: [] })).equal(true);
    expect(mayRead(stats(995, 1, 0o044), reader), 'the owner is not one of the others').equal(false);
    expect(mayRead(stats(0, 50, 0o640), reader)).equal(true);
    expect(mayRead(stats(0, 50, 0o604), reader), 'nor is a member').equal(false);
    expect(mayRead(stats(0, 1, 0o604), reader)).equal(true);
    expect(mayWrite(stats(0, 50, 0o640), reader)).equal(false);
    expect(mayWrite(stats(995, 1, 0o200), reader)).equal(true);
  });
});
