import { expect } from 'chai';
import { ClientError } from '../../client/errors.ts';
import type { Config, Verify } from '../../client/types.ts';
import { until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';
import { takeWarnings } from '../support/warnings.ts';

/** How a suite makes configs of one kind and plays the daemon's side. */
export interface ConfigKit {
  open(verify?: Verify<App>): Promise<Config<App>>;
  /** Commits settings with this url and these features. Resolves when it is on its way. */
  commit(url: string, features?: Record<string, boolean>): Promise<unknown>;
  loseDaemon(): Promise<void>;
  bringBack(): Promise<void>;
}

/** What holds for every `Config`, whatever brings its settings. */
export function describeConfig(name: string, kit: () => ConfigKit): void {
  describe(`${name} is a Config`, () => {
    const commit = (url: string, features?: Record<string, boolean>) => kit().commit(url, features);

    it('has its settings at once, frozen to the leaves', async () => {
      const config = await kit().open();
      expect(config.settings.database.url).a('string');
      expect(Object.isFrozen(config.settings.database)).equal(true);
      expect(() => Object.assign(config.settings.database, { url: 'x' })).throw(TypeError);
      expect(config.get('database.url')).equal(config.settings.database.url);
      expect(config.link).deep.equal({ kind: 'live' });
      expect(config.snapshot.revision).equal(1);
    });

    it('shows the newest accepted settings, and tells what changed', async () => {
      const config = await kit().open();
      const changes: unknown[] = [];
      config.on('change', ({ revision, changed }) => void changes.push([revision, changed]));
      const { features } = config.settings;
      await commit('changed-once');
      await until('it is there', () => config.settings.database.url === 'changed-once');
      expect(changes).deep.equal([[2, ['database.url']]]);
      expect(config.settings.features, 'what did not change stays the same object').equal(features);
    });

    it('calls a watch handler only for its part, with next, previous and all that comes with it, before the settings are visible', async () => {
      const config = await kit().open();
      const seen: unknown[] = [];
      config.watch(
        'database',
        (next, previous, settings) =>
          void seen.push([
            next.url,
            previous.poolSize,
            settings.database === next,
            config.settings.database.url === next.url,
          ]),
      );
      const stop = config.watch('features', () => void seen.push('features'));
      config.watch('features.beta', (next, previous) => void seen.push([next, previous]));
      await commit('watched');
      await until('it is there', () => config.settings.database.url === 'watched');
      expect(seen).deep.equal([['watched', 5, true, false]]);
      stop();
      await commit('watched', { beta: true });
      await until('it is there', () => config.settings.features.beta === true);
      expect(seen).deep.equal([
        ['watched', 5, true, false],
        [true, false],
      ]);
    });

    it('rejects a snapshot that a handler refuses, undoes the others, and takes the next one', async () => {
      const config = await kit().open();
      const applied: string[] = [];
      config.watch('database.url', (next) => void applied.push(next));
      config.watch('database', ({ url }) => {
        if (url === 'refused') throw new Error('not this one');
      });
      const first = config.settings.database.url;
      await commit('refused').catch((error) => expect(error).instanceOf(ClientError).include({ code: 'rejected' }));
      await until('it is undone', () => applied.length === 2);
      expect(applied).deep.equal(['refused', first]);
      expect(config.settings.database.url).equal(first);
      await commit('good');
      await until('the next is taken', () => config.settings.database.url === 'good');
    });

    it('asks verify first, and lets nobody see what it refuses', async () => {
      const config = await kit().open(({ database }) => {
        if (database.url === 'refused') throw new Error('no');
      });
      let calls = 0;
      config.watch('database', () => void calls++);
      await commit('refused').catch(() => {});
      await commit('good');
      await until('the good one is there', () => config.settings.database.url === 'good');
      expect(calls).equal(1);
    });

    it('gives a slow reader of changes only the newest', async () => {
      const config = await kit().open();
      const stop = new AbortController();
      const reader = config.changes({ signal: stop.signal });
      for (const url of ['one', 'two', 'three']) {
        await commit(url);
        await until(url, () => config.settings.database.url === url);
      }
      expect((await reader.next()).value.settings.database.url).equal('three');
      stop.abort();
      expect((await reader.next()).done).equal(true);
    });

    it('keeps its settings when the daemon is lost, says so, and recovers', async () => {
      const config = await kit().open();
      const links: string[] = [];
      // A daemon that is long in coming back is stale for more than one reason.
      config.on('link', ({ kind }) => void (kind !== links.at(-1) && links.push(kind)));
      await kit().loseDaemon();
      await until('it is stale', () => config.link.kind === 'stale');
      expect(config.settings.database.url).a('string');
      const error = await config.reload().catch((reason) => reason);
      expect(error).instanceOf(ClientError).include({ code: 'not_connected' });
      await kit().bringBack();
      await until('it is live', () => config.link.kind === 'live');
      expect(links).deep.equal(['stale', 'live']);
    });

    it('is not harmed by listeners that fail', async () => {
      const config = await kit().open();
      const warned: string[] = [];
      let links = 0;
      config.on('link', () => {
        links++;
        throw new Error('a listener of link');
      });
      config.on('change', () => {
        throw new Error('a listener of change');
      });
      await kit().loseDaemon();
      await until('it is stale', () => config.link.kind === 'stale');
      await kit().bringBack();
      await until('it is live', () => config.link.kind === 'live');
      await commit('after-all-that');
      await until('it still follows', () => config.settings.database.url === 'after-all-that');
      await until('it has warned', () => warned.push(...takeWarnings()) === links + 1);
      await config.close();
      await until('that it has ended, too', () => warned.push(...takeWarnings()) === links + 1);
      expect(links).at.least(3);
      for (const warning of warned) expect(warning).match(/^HotconfWarning: a listener of '(link|change)' failed/);
    });

    it('answers reload, validate and summary', async () => {
      const config = await kit().open();
      expect(await config.reload({ reason: 'test' })).include({ outcome: 'unchanged', revision: 1 });
      expect(await config.validate()).deep.equal({ valid: true, issues: [] });
      expect(await config.summary())
        .deep.include({ revision: 1, hotReloadEnabled: true })
        .nested.include({ 'configured.database': true });
    });

    it('sends reports and reasons of any length, and stays live', async () => {
      const config = await kit().open();
      config.reportFailure('c'.repeat(1_000), new Error('m'.repeat(100_000)).stack!);
      expect(await config.reload({ reason: 'r'.repeat(100_000) })).include({ outcome: 'unchanged' });
      config.reportRecovery('c'.repeat(1_000));
      expect(await config.reload()).include({ outcome: 'unchanged' });
      expect(config.link).deep.equal({ kind: 'live' });
    });

    it('refuses a path that is none', async () => {
      const config = await kit().open();
      expect(() => config.get('a..b' as never))
        .throw(ClientError)
        .include({ code: 'usage' });
    });

    it('ends its readers when it is closed, and stays readable', async () => {
      const config = await kit().open();
      const reader = config.changes();
      await config.close();
      expect((await reader.next()).done).equal(true);
      expect(config.settings.database.url).a('string');
      expect(config.link.kind).equal('stale');
      await config[Symbol.asyncDispose]();
    });
  });
}
