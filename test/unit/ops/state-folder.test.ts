import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { expect } from 'chai';
import type { DaemonError } from '../../../daemon/model/errors.ts';
import { readKeyRing } from '../../../daemon/ops/key-ring.ts';
import { StateStore } from '../../../daemon/ops/state-store.ts';
import { useScratch } from '../../support/scratch.ts';
import { skipBecause } from '../../support/skip.ts';

const stranger = 33;

describe('the folder of the state', () => {
  const scratch = useScratch();
  const state = () => scratch().path('a/state');
  const refusal = () => {
    try {
      StateStore.open(state()).close();
      return 'taken';
    } catch (error) {
      const { code, message } = error as DaemonError;
      return `${code}: ${message}`;
    }
  };
  beforeEach(() => void mkdirSync(state(), { recursive: true, mode: 0o700 }));

  for (const [what, spoil, words, needsRoot] of [
    ['that others can write to', () => chmodSync(state(), 0o777), 'can be written by others', false],
    ['of a stranger', () => chownSync(state(), stranger, stranger), `belongs to uid ${stranger}`, true],
    [
      'that is a link',
      () => (renameSync(state(), scratch().path('real')), symlinkSync('../real', state())),
      'is a link',
      false,
    ],
    ['below one of a stranger', () => chownSync(scratch().path('a'), stranger, stranger), `lies in `, true],
    ['below one for all to write', () => chmodSync(scratch().path('a'), 0o777), 'which everybody may write to', false],
    [
      'below one for a group of others to write',
      () => (chownSync(scratch().path('a'), 0, stranger), chmodSync(scratch().path('a'), 0o775)),
      `which the group ${stranger} may write to`,
      true,
    ],
  ] as const)
    it(`is refused ${what}`, function () {
      if (needsRoot && process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
      spoil();
      expect(refusal())
        .match(/^not_permitted: /)
        .contain(words);
    });

  it('is written without following links that were put there', () => {
    const victim = scratch().write('victim', 'untouched');
    symlinkSync(victim, scratch().path('a/state/holder.json'));
    expect(refusal()).equal('taken');
    expect(readFileSync(victim, 'utf8')).equal('untouched');
  });
});

describe('a key file', () => {
  const scratch = useScratch();

  it('that others can read is refused, also when its name is that of a credential', () => {
    scratch().open();
    const file = scratch().write('elsewhere/lkg-key', Buffer.alloc(32, 7), 0o644);
    const before = process.env.CREDENTIALS_DIRECTORY;
    chmodSync(scratch().path('elsewhere'), 0o755);
    process.env.CREDENTIALS_DIRECTORY = scratch().path('credentials');
    try {
      expect(() => readKeyRing(file))
        .throw()
        .include({ code: 'key_unusable' });
    } finally {
      if (before === undefined) delete process.env.CREDENTIALS_DIRECTORY;
      else process.env.CREDENTIALS_DIRECTORY = before;
    }
  });
});
