import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config } from '../../client/types.ts';
import { readSocket } from '../support/ask-socket.ts';
import { useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';

const daemonUid = 47_113;
const patienceMs = 40_000;

describe('fault 63: what happens to folders above those of the daemon', function () {
  this.timeout(180_000);
  const scratch = useScratch();
  const run = useProcesses();
  const above = () => scratch().path('above');
  /** As root, who is kept out by no mode. */
  const health = async () => JSON.parse(await readSocket(scratch().path('operators/admin.sock'), '/healthz'));
  const edit = (url: string) => scratch().write('above/secrets/app.yaml', `database: { url: ${url} }\n`, 0o644);
  let config: Config<App> | undefined;
  afterEach(() => config?.close());

  for (const [what, spoil, restore] of [
    ['unreadable', () => chmodSync(above(), 0o700), () => chmodSync(above(), 0o755)],
    ['renamed', () => renameSync(above(), scratch().path('away')), () => renameSync(scratch().path('away'), above())],
    [
      'writable for everybody',
      // What somebody puts there meanwhile is not taken.
      () => (chmodSync(above(), 0o777), edit('planted')),
      () => (chmodSync(above(), 0o755), edit('value-0')),
    ],
  ] as const)
    it(`63: made ${what}: it goes on with what it has, degraded and stale, and is well when they are as before`, async function () {
      if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
      const file = layExample(scratch(), {
        sources: { defaults: './defaults.yaml', files: [{ path: './above/secrets' }] },
        runtimeDir: './above/run',
        stateDir: './above/state',
        admin: { socket: scratch().path('operators/admin.sock') },
      });
      mkdirSync(above(), { mode: 0o755 });
      edit('value-0');
      for (const folder of ['above/run', 'above/state', 'operators']) {
        mkdirSync(scratch().path(folder), { mode: 0o700 });
        execFileSync('chown', [`${daemonUid}:${daemonUid}`, scratch().path(folder)]);
      }
      execFileSync('chmod', ['-R', 'a+rX', scratch().path('above/secrets'), file]);
      for (const name of ['app.schema.json', 'defaults.yaml']) chmodSync(scratch().path(name), 0o644);
      execFileSync('chown', ['-R', `${daemonUid}`, scratch().path('above/secrets')]);
      for (const name of ['above/secrets/app.yaml']) chmodSync(scratch().path(name), 0o600);
      scratch().open();
      const daemon = await run(['start', '--config', file], { uid: daemonUid, gid: daemonUid }).ready();
      config = await connect<App>({ socket: scratch().path('above/run/default.sock'), daemonUid });

      spoil();
      await until('it is noticed', async () => (await health()).reasons.includes('sockets'), patienceMs);
      await until(
        'and so is the source',
        () => daemon.logged('source_stale').length > 0 || daemon.logged('config_reload_failed').length > 0,
        patienceMs,
      );
      expect(daemon.isRunning).equal(true);
      expect(config.link.kind, 'who is connected stays').equal('live');
      expect(config.settings.database.url).equal('value-0');

      restore();
      await until('it is well', async () => (await health()).status === 'ready', patienceMs);
      edit('value-1');
      await until('it goes on', () => config!.settings.database.url === 'value-1', patienceMs);
      const again = await connect<App>({ socket: scratch().path('above/run/default.sock'), daemonUid });
      expect(again.settings.database.url).equal('value-1');
      await again.close();
      expect(daemon.logged('unexpected_error')).deep.equal([]);
    });
});
