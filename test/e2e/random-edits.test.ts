import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config, Snapshot } from '../../client/types.ts';
import { useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { quietFor, until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';
import { isInstalled, type WayToChange, waysToChange } from '../support/ways-to-change.ts';

const edits = Number(process.env.HOTCONF_EDITS ?? 200);
const seed = Number(process.env.HOTCONF_SEED ?? Date.now() % 1_000_000);

/** A small generator with a seed, so that a failure can be run again (mulberry32). */
function random(state: number): () => number {
  let next = state;
  return () => {
    next = (next + 0x6d2b79f5) | 0;
    let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe(`${edits} random edits (HOTCONF_SEED=${seed})`, () => {
  const scratch = useScratch();
  const run = useProcesses();
  const configs: Config<App>[] = [];
  afterEach(() => Promise.all(configs.splice(0).map((config) => config.close())));

  const named = (name: string) => waysToChange.find((way) => way.name === name)!;
  const inPlace = [
    'a write in place',
    'a rename over it',
    'a write in two steps',
    'vim',
    'vim with a backup copy',
    'sed -i',
    'cp',
    'git checkout',
  ].map(named);
  const swap = named('a Kubernetes swap of ..data');

  it('reach three programs with no wrong, torn or missing state', async function () {
    this.timeout(180_000);
    const pick = random(seed);
    const file = layExample(scratch(), {
      fileModeCheck: 'off',
      sources: { defaults: './defaults.yaml', files: [{ path: './secrets' }, { path: './mounted' }] },
    });
    // Both values change together in each edit; a torn state would show one without the other.
    const content = (edit: number) => `database: { url: value-${edit}, poolSize: ${edit} }\n`;
    const plain = scratch().path('secrets/app.yaml');
    const mounted = scratch().path('mounted/app.yaml');
    named('git checkout').prepare!(plain, content(0));
    scratch().write('mounted/.keep', '');
    const daemon = await run(['start', '--config', file]).ready();
    const seen = new Map<Config<App>, Snapshot<App>[]>();
    for (const name of ['one', 'two', 'three']) {
      const config = await connect<App>({ socket: scratch().path('run/default.sock'), name });
      configs.push(config);
      seen.set(config, [config.snapshot]);
      config.on('change', (snapshot) => void seen.get(config)!.push(snapshot));
    }

    const usable = inPlace.filter(({ needs }) => !needs || isInstalled(needs));
    let isMounted = false;
    for (let edit = 1; edit <= edits; edit++) {
      // What is mounted wins; once it is there, only edits of it show.
      const way: WayToChange = edit > edits * 0.7 ? swap : usable[Math.floor(pick() * usable.length)]!;
      isMounted ||= way === swap;
      way.change(isMounted ? mounted : plain, content(edit));
      if (pick() < 0.3) await quietFor(pick() * 120);
      else
        await until(`edit ${edit} by ${way.name} is everywhere`, () =>
          configs.every(({ settings }) => settings.database.url === `value-${edit}`),
        );
    }
    await until('the last edit is everywhere', () =>
      configs.every(({ settings }) => settings.database.url === `value-${edits}`),
    );

    for (const snapshots of seen.values()) {
      for (const [i, { settings, revision }] of snapshots.entries()) {
        expect(settings.database.url).equal(`value-${settings.database.poolSize}`);
        if (i === 0) continue;
        expect(revision).greaterThan(snapshots[i - 1]!.revision);
        expect(settings.database.poolSize).greaterThan(snapshots[i - 1]!.settings.database.poolSize);
      }
    }
    expect(daemon.logged('config_reload_failed')).deep.equal([]);
    expect(daemon.stdout).not.contain('value-');
  });
});
