import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelWorld } from '../model-world.ts';
import { parts } from './content.ts';

/** Something that happens in a world, so often among others. */
export interface Operation {
  readonly name: string;
  readonly weight: number;
  readonly act: (world: ModelWorld) => unknown;
  /** Only in worlds that have what it needs. */
  readonly needs?: (world: ModelWorld) => boolean;
}

const hasGoogle = ({ choices }: ModelWorld) => choices.isGoogle;
const hasHostile = ({ choices }: ModelWorld) => choices.hostile > 0;
const hasCanary = ({ choices }: ModelWorld) => Boolean(choices.canary);
const hasKey = ({ choices }: ModelWorld) => choices.hasKey;
const long = (world: ModelWorld, characters: number) =>
  world.random() < 0.25 ? 'far too long '.repeat(Math.ceil(characters / 13) + 1) : 'as short as it should be';

/** What may happen, beginning with what happens most. */
export const operations: readonly Operation[] = [
  { name: 'edit', weight: 4, act: (world) => world.edit() },
  { name: 'edit that somebody refuses', weight: 4, act: (world) => world.editRefused() },
  { name: 'edit for guests', weight: 3, needs: hasHostile, act: (world) => world.files.writeGuest() },
  { name: 'edit of two files', weight: 2, act: (world) => (world.edit(), world.edit()) },
  { name: 'time passes', weight: 4, act: (world) => world.pass(50 + world.random() * 250) },
  { name: 'rename over', weight: 1, act: (world) => void world.files.write(world.pick(parts), 'by rename') },
  { name: 'bad content', weight: 1, act: (world) => world.files.spoil(world.pick(parts)) },
  { name: 'delete', weight: 0.7, act: (world) => world.files.remove(world.pick(parts)) },
  { name: 'twins', weight: 0.5, act: (world) => world.swapTwins() },
  { name: 'heal', weight: 1, act: (world) => world.heal() },
  { name: 'report', weight: 1.5, act: (world) => world.report(long(world, 2_000)) },
  {
    name: 'cut',
    weight: 1.2,
    act: (world) => world.someProgram()?.cut(world.random() < 0.5 ? world.random() * 200 : 0),
  },
  { name: 'refused, and a restart', weight: 0.8, act: (world) => world.stages.refusedAndRestart() },
  { name: 'staged, and a restart', weight: 0.8, needs: hasCanary, act: (world) => world.stages.stagedAndRestart() },
  {
    name: 'staged, and a failure beside an edit',
    weight: 0.8,
    needs: hasCanary,
    act: (world) => world.stages.stagedAndReport(),
  },
  {
    name: 'staged, and refused beside an edit',
    weight: 0.5,
    needs: hasCanary,
    act: (world) => world.stages.stagedAndRefused(),
  },
  { name: 'staged, and rolled back to', weight: 0.6, needs: hasCanary, act: (world) => world.stages.stagedAndPinned() },
  {
    name: 'staged, and cut beside an edit',
    weight: 0.6,
    needs: hasCanary,
    act: (world) => world.stages.stagedAndCut(),
  },
  { name: 'two reloads and an edit', weight: 0.6, act: (world) => world.operator.reloadsAndEdit() },
  { name: 'dangling link', weight: 0.15, act: (world) => world.dangle() },
  { name: 'freeze', weight: 1, act: (world) => world.someProgram()?.freeze() },
  { name: 'thaw', weight: 1, act: (world) => world.thaw() },
  { name: 'leave', weight: 1, act: (world) => world.leave() },
  { name: 'join', weight: 1.5, act: (world) => world.join() },
  { name: 'reload', weight: 1.5, act: (world) => world.background('reload', () => world.operator.reload()) },
  {
    name: 'reload of a program',
    weight: 1,
    act: (world) => world.background('', () => world.someProgram()?.config?.reload({ reason: long(world, 500) })),
  },
  { name: 'signal', weight: 0.5, act: (world) => world.operator.signal() },
  { name: 'dry run', weight: 1, act: (world) => world.background('dry run', () => world.operator.dryRun()) },
  {
    name: 'validate',
    weight: 0.7,
    act: (world) => world.background('', () => world.someProgram()?.config?.validate()),
  },
  { name: 'rollback', weight: 1, act: (world) => world.background('rollback', () => world.operator.rollback()) },
  { name: 'unpin', weight: 0.7, act: (world) => world.background('unpin', () => world.operator.unpin()) },
  { name: 'look', weight: 1.5, act: (world) => world.background('', () => world.operator.look()) },
  {
    name: 'rotate',
    weight: 4,
    needs: hasGoogle,
    act: (world) => world.background('rotate', () => world.operator.rotate()),
  },
  { name: 'disable', weight: 1, needs: hasGoogle, act: (world) => world.files.disableSecret() },
  { name: 'restart', weight: 1.2, act: (world) => world.lives.restart() },
  { name: 'kill', weight: 0.8, act: (world) => world.lives.kill() },
  { name: 'stop in the start', weight: 0.4, act: (world) => world.lives.stopInStart() },
  {
    name: 'damaged state',
    weight: 0.4,
    act: (world) => world.lives.restart(() => damage(world.test.scratch.path('state/state.db'))),
  },
  {
    name: 'damaged last known good',
    weight: 0.3,
    needs: hasKey,
    act: (world) => world.lives.restart(() => damageNewest(world.test.scratch.path('state/last-known-good'))),
  },
];

function damage(file: string): void {
  writeFileSync(file, 'this is no database any more '.repeat(200));
}

function damageNewest(folder: string): void {
  const numbers = readdirSync(folder).map((name) => Number.parseInt(name, 10));
  if (numbers.length > 0) writeFileSync(join(folder, `${Math.max(...numbers)}.sealed`), 'no seal');
}
