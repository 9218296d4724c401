import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { DaemonError } from '../../../daemon/model/errors.ts';
import { systemClock } from '../../../daemon/ops/clock.ts';
import { LastKnownGood } from '../../../daemon/ops/last-known-good.ts';
import { peekLabel, unseal } from '../../../daemon/ops/seal.ts';
import { Scratch } from '../../support/scratch.ts';
import { type Face, must, planted } from '../face.ts';
import { expectKnown, isEqual } from './documents.ts';

/** Made by `seal` once, for its salt is random: of the snapshot below, under the first key, the second and a third. */
const fixtures = resolve(import.meta.dirname, '../../fixtures/sealed.json');
const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const owner = 'the-owner';

/** The files of the last known good: whatever is in the folder, what was sealed is served, or nothing is. */
export async function sealedFace(): Promise<Face> {
  const scratch = new Scratch();
  const kept = keptSnapshot();
  const { newKey, oldKey, anotherOwner, ...sealedByOthers } = JSON.parse(readFileSync(fixtures, 'utf8')) as Record<
    string,
    string
  >;
  const bytes = (base64?: string) => Buffer.from(base64!, 'base64');
  const [ours, foreign] = [[bytes(newKey), bytes(oldKey)], bytes(anotherOwner)];
  const isAmong = (all: readonly Buffer[], input: Buffer) => all.some((one) => one.equals(input));
  return {
    corpus: [...ours, foreign, ...Object.values(sealedByOthers).map(bytes), ours[0]!.subarray(0, 100)],
    words: ['hotconf1', owner, '\0\0\0\0\0\0\0\x01', '\xff\xff\xff\xff\xff\xff\xff\xff', '{}'],
    modules: /^daemon\/ops\/(seal|sealed-files|last-known-good)/,
    hasFeedback: true,
    async try(input) {
      peekLabel(input);
      const opened = unseal(input, keys);
      must(
        (opened.kind === 'opened') === isAmong([...ours, foreign], input),
        'what was not sealed is opened, or what was is not',
      );
      await expectServed(scratch, input, isAmong(ours, input) ? kept : undefined);
    },
    async close() {
      rmSync(scratch.folder, { recursive: true, force: true });
    },
  };
}

/** A daemon that finds these bytes as its newest file serves what was sealed or refuses, and can write the next. */
async function expectServed(scratch: Scratch, input: Buffer, wanted: object | undefined): Promise<void> {
  const folder = scratch.path('lkg');
  rmSync(folder, { recursive: true, force: true });
  scratch.write('lkg/1.sealed', input);
  const problems: string[] = [];
  const parts = { folder, keys, owner, counter: { generation: 1 }, keep: 3, clock: systemClock };
  const onProblem = (problem: string | undefined) => void (problem && problems.push(problem));
  const open = () =>
    new LastKnownGood({ ...parts, onProblem, onForeign: (error) => expectKnown(error, /^last_known_good/) });
  const disk = open();
  let newest: unknown;
  try {
    newest = disk.newest();
  } catch (error) {
    expectKnown(error, /^last_known_good_refused$/);
  }
  must(newest === undefined || (wanted && isEqual(newest, wanted)), 'something else than what was sealed is served');
  must(!wanted || newest, 'what was sealed is not served');
  const [revision] = disk.revisions;
  if (revision !== undefined && !wanted) expectRefused(() => disk.read(revision));
  disk.save({ ...keptSnapshot(), revision: 7 });
  await disk.close();
  must(problems.length === 0, 'the next snapshot cannot be written');
  must(open().newest()?.revision === 7, 'the next snapshot is not the newest');
  must(!readFileSync(scratch.path('lkg/2.sealed'), 'latin1').includes(planted), 'a secret lies on disk in plain text');
}

function expectRefused(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (error instanceof DaemonError) return expectKnown(error, /^last_known_good_refused$/);
    throw error;
  }
  must(false, 'what was not sealed is served by its revision');
}

function keptSnapshot() {
  const settings = { database: { url: planted } };
  const part = { sourceId: 'files', kind: 'files', name: 'a.yaml', settings } as const;
  return {
    revision: 1,
    epoch: 'e',
    committedAt: new Date(0).toISOString(),
    cause: 'start',
    changed: [],
    removed: [],
    parts: [part],
  } as never as Parameters<LastKnownGood['save']>[0] & { revision: number };
}
