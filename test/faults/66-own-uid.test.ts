import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { expect } from 'chai';
import type { DaemonError } from '../../daemon/model/errors.ts';
import { loadOptions } from '../../daemon/ops/options-file.ts';
import { HotconfProcess, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';

/** As config/kubernetes and the container have it. */
const daemonUid = 47_113;
/** The `nonroot` user of distroless images, which most pods have that do not run as root. */
const usualUid = 65_532;

describe("fault 66: another process of the daemon's own user, or of the usual one of containers", () => {
  const scratch = useScratch();
  const run = useProcesses();
  /** A command of another user, as a program of another pod would run it. */
  const ask = async (uid: number, ...args: string[]) => {
    const asked = new HotconfProcess(args, {
      wrapper: ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
      env: { PATH: process.env.PATH, HOTCONF_DAEMON_UID: String(daemonUid) },
    });
    return { code: await asked.ended(), said: asked.stdout + asked.lastWords };
  };

  it('66: only the user that `allow` names and the operators are served, not the usual user of containers', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    const file = layExample(scratch(), {
      peerAuth: 'required',
      views: { default: { mode: '0666', allow: { users: [1000] } } },
      admin: { socket: scratch().path('state/admin.sock') },
    });
    mkdirSync(scratch().path('run'), { mode: 0o755 });
    mkdirSync(scratch().path('state'), { mode: 0o700 });
    execFileSync('chown', ['-R', `${daemonUid}:${daemonUid}`, scratch().folder]);
    scratch().open();
    chmodSync(file, 0o644);
    await run(['start', '--config', file], { uid: daemonUid, gid: daemonUid }).ready();
    const view = ['get', 'database.url', '--reveal', '--socket', scratch().path('run/default.sock')];
    const change = ['reload', '--config', file];
    expect(await ask(1000, ...view)).include({ code: 0, said: 'value-0\n' });
    for (const uid of [usualUid, 1001]) {
      const { code, said } = await ask(uid, ...view);
      expect(code, said).equal(77);
      expect(said).contain(`the view does not allow uid ${uid}`).not.contain('value-0');
    }
    for (const uid of [usualUid, 1000]) expect((await ask(uid, ...change)).code, `uid ${uid} as operator`).equal(77);
    // Operators by design: what runs as the daemon's user could read its memory and state anyway.
    expect(await ask(daemonUid, ...view)).include({ code: 0 });
    expect(await ask(daemonUid, ...change)).include({ code: 0 });
  });

  it("66: a start is refused where programs of other users would be let into the operator's folder", () => {
    const code = (views: object, socket?: string) => {
      try {
        loadOptions(layExample(scratch(), { views, ...(socket && { admin: { socket } }) }), {});
        return 'taken';
      } catch (error) {
        return (error as DaemonError).exitCode;
      }
    };
    const own = scratch().path('operators/admin.sock');
    const shared = [{ mode: '0666' }, { mode: '0662' }, { group: 'root' }, { allow: { users: ['root'] } }];
    for (const view of shared) {
      for (const socket of [undefined, 'other.sock', scratch().path('run/admin.sock'), scratch().path('run/a/b.sock')])
        expect(code({ web: view }, socket), `${JSON.stringify(view)} ${socket}`).equal(78);
      expect(code({ web: view }, own), JSON.stringify(view)).equal('taken');
    }
    expect(code({ web: { mode: '0660' } })).equal('taken');
  });
});
