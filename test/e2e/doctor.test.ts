import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Finding } from '../../daemon/checkup/finding.ts';
import { canary, expectNoCanary } from '../support/canary.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { nobodysUid } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';
import { useGoogle } from '../support/use-google.ts';

describe('hotconf doctor', function () {
  this.timeout(40_000);
  const google = useGoogle();
  const scratch = useScratch();
  const run = useProcesses();
  /** What it finds, and how it ends. */
  const ask = async (file: string, more: Record<string, string> = {}) => {
    const env = { ...process.env, ...more };
    const { code, stdout } = await hotconf(['doctor', '--json', '--config', file], { env });
    const { well, findings } = JSON.parse(stdout) as { well: boolean; findings: readonly Finding[] };
    expect(code).equal(well ? 0 : 1);
    // Which limits a machine has is its own affair.
    const ofMachine = ['inotify', 'descriptors', 'disk'];
    const bad = findings.filter(({ check, verdict }) => verdict !== 'ok' && !ofMachine.includes(check));
    for (const { check, mend } of bad) expect(mend, check).match(/\w/);
    return { well, findings, bad: bad.map(({ check, verdict }) => `${verdict} ${check}`), stdout };
  };
  /** A set-up in which nothing is wrong. */
  const lay = (options: Record<string, unknown> = {}) => {
    scratch().write('lkg.key', `${Buffer.alloc(32, 1).toString('base64')}\n`);
    scratch().write('ops.token', `${randomBytes(32).toString('base64')}\n`);
    return layExample(scratch(), {
      lastKnownGood: { keyFile: './lkg.key' },
      admin: { http: { listen: '127.0.0.1:8787', tokens: [{ file: './ops.token', role: 'admin', name: 'ops' }] } },
      ...options,
    });
  };

  it('finds nothing wrong where nothing is, with a daemon and without', async () => {
    const file = lay({ admin: {} });
    const { bad, findings } = await ask(file);
    expect(bad).deep.equal(['warn daemon']);
    expect(findings.map(({ check }) => check)).include.members([
      'options',
      'node',
      'node-ipc',
      'inotify',
      'descriptors',
      'peers',
      'clock',
      'runtimeDir',
      'sockets',
      'stateDir',
      'disk',
      'settings',
    ]);
    await run(['start', '--config', file]).ready();
    expect((await ask(file)).bad).deep.equal([]);
    const { stdout, code } = await hotconf(['doctor', '--config', file]);
    expect(code).equal(0);
    expect(stdout)
      .match(/^ok {4}options: /)
      .contain('ok    daemon: serves revision 1\n');
  });

  it('says what is wrong, and how to mend it', async () => {
    scratch().open();
    const file = lay();
    const secret = canary();
    const breakages: readonly [string, () => void, () => void][] = [
      [
        'fail token ops',
        () => chmodSync(scratch().path('ops.token'), 0o644),
        () => chmodSync(scratch().path('ops.token'), 0o600),
      ],
      [
        'fail last known good',
        () => chmodSync(scratch().path('lkg.key'), 0o644),
        () => chmodSync(scratch().path('lkg.key'), 0o600),
      ],
      [
        'fail settings',
        () => void scratch().write('secrets/b.yaml', `database: { url: [${secret}] }\n`),
        () => rmSync(scratch().path('secrets/b.yaml')),
      ],
      [
        'fail settings',
        () => void scratch().write('secrets/b.yaml', 'llm: { key: x }\n', 0o644),
        () => rmSync(scratch().path('secrets/b.yaml')),
      ],
      ['fail settings', () => writeFileSync(scratch().path('app.schema.json'), '{"type": 3}'), () => lay()],
      [
        'warn stateDir',
        () => void mkdirSync(scratch().path('state'), { mode: 0o755 }),
        () => chmodSync(scratch().path('state'), 0o700),
      ],
      [
        'warn clock',
        () => utimesSync(scratch().write('state/later', ''), 4e9, 4e9),
        () => rmSync(scratch().path('state/later')),
      ],
      ['fail runtimeDir', () => symlinkSync('/tmp', scratch().path('run')), () => rmSync(scratch().path('run'))],
      [
        'fail runtimeDir',
        () => (mkdirSync(scratch().path('run')), chmodSync(scratch().path('run'), 0o777)),
        () => chmodSync(scratch().path('run'), 0o750),
      ],
    ];
    for (const [expected, spoil, mend] of breakages) {
      spoil();
      const { bad, stdout } = await ask(file);
      expect(bad, expected).deep.equal([expected, 'warn daemon']);
      expectNoCanary(expected, stdout, [secret]);
      mend();
    }
    expect((await ask(file)).bad).deep.equal(['warn daemon']);
  });

  it("fails where programs of other users are let into the operators' folder", async () => {
    const { bad, stdout } = await ask(lay({ views: { web: { mode: '0666' } } }));
    expect(bad).deep.equal(['fail options']);
    expect(stdout).contain('admin.socket').contain('a folder of its own');
  });

  it('judges for the user of the daemon, and advises nothing that takes anything away from it', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    const file = lay({ admin: {}, fileModeCheck: 'strict' });
    scratch().open();
    execFileSync('chown', ['-R', String(nobodysUid), scratch().folder]);
    const daemon = await run(['start', '--config', file], { uid: nobodysUid }).ready();
    const { bad, findings } = await ask(file);
    // Whose socket it is, in a folder where anybody could have made it, only the operator can say.
    expect(bad).deep.equal(['warn daemon']);
    expect(findings.at(-1)!.mend).contain('HOTCONF_DAEMON_UID');
    expect((await ask(file, { HOTCONF_DAEMON_UID: String(nobodysUid) })).bad).deep.equal([]);
    expect(findings.find(({ check }) => check === 'user')!.message).contain(`uid ${nobodysUid}`);
    const verified = await hotconf(['audit', 'verify', '--config', file]);
    expect(verified).include({ code: 0, stderr: '' });
    await daemon.kill('SIGTERM');
    // What root makes with a strict umask is root's alone: readable to who looks, and not to the daemon.
    for (const name of ['lkg.key', 'secrets/app.yaml']) chownSync(scratch().path(name), 0, 0);
    const { findings: after } = await ask(file);
    const mends = after.filter(({ verdict }) => verdict === 'fail').map(({ check, mend }) => `${check}: ${mend}`);
    const advice = (name: string) =>
      `chown ${nobodysUid} ${scratch().path(name)} && chmod 0600 ${scratch().path(name)}`;
    expect(mends).deep.equal([`last known good: ${advice('lkg.key')}`, `settings: ${advice('secrets/app.yaml')}`]);
    const key = readFileSync(scratch().path('lkg.key'), 'utf8');
    for (const mend of mends) execFileSync('sh', ['-c', mend.replace(/^[^:]*: /, '')]);
    expect((await ask(file)).bad, 'the advice, followed to the letter').deep.equal(['warn daemon']);
    expect(readFileSync(scratch().path('lkg.key'), 'utf8'), 'and nothing is lost').equal(key);
    await run(['start', '--config', file], { uid: nobodysUid }).ready();
  });

  it('judges a file that is readable by a group of the running daemon, whose uid has no passwd entry', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
    const file = lay({ admin: {} });
    mkdirSync(scratch().path('run'), { mode: 0o750 });
    mkdirSync(scratch().path('state'), { mode: 0o700 });
    execFileSync('chown', ['-R', `${nobodysUid}:${nobodysUid}`, scratch().folder]);
    scratch().open();
    chownSync(scratch().path('lkg.key'), 0, nobodysUid);
    chmodSync(scratch().path('lkg.key'), 0o640);
    await run(['start', '--config', file], { uid: nobodysUid, gid: nobodysUid }).ready();
    const { bad, findings } = await ask(file, { HOTCONF_DAEMON_UID: String(nobodysUid) });
    expect(bad, JSON.stringify(findings.at(-1))).deep.equal([]);
  });

  it('advises chown and no new token where the daemon may not read the one that there is', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
    const file = lay();
    for (const name of ['run', 'state']) mkdirSync(scratch().path(name), { mode: 0o700 });
    execFileSync('chown', ['-R', `${nobodysUid}:${nobodysUid}`, scratch().folder]);
    scratch().open();
    const token = scratch().path('ops.token');
    chownSync(token, 0, 0);
    const { findings } = await ask(file);
    const found = findings.find(({ code }) => code === 'token_unreadable');
    expect(found, JSON.stringify(findings)).include({
      verdict: 'fail',
      mend: `chown ${nobodysUid} ${token} && chmod 0600 ${token}`,
    });
  });

  it('looks past what it cannot look at', async () => {
    const file = lay({ admin: {} });
    mkdirSync(scratch().path('state'), { mode: 0o700 });
    symlinkSync('/nowhere', scratch().path('state/dangling'));
    expect((await ask(file)).bad).deep.equal(['warn daemon']);
    symlinkSync(scratch().path('round'), scratch().path('round'));
    const { bad } = await ask(lay({ runtimeDir: './round/run', admin: {} }));
    expect(bad).deep.equal(['fail runtimeDir', 'warn daemon']);
  });

  it('says what is wrong with the options, and looks no further', async () => {
    const file = lay({ peerAuth: 'sometimes' });
    const { well, findings } = await ask(file);
    expect(well).equal(false);
    expect(findings).length(1);
    expect(findings[0]).include({ check: 'options' }).property('message').contain('peerAuth');
    expect((await hotconf(['doctor', '--config', scratch().path('none.yaml')])).code).equal(1);
  });

  it('warns of a socket whose path is too long, and of rules that need to know who connects', async () => {
    const { bad } = await ask(lay({ runtimeDir: `./${'x'.repeat(120)}`, peerAuth: 'off' }));
    expect(bad).deep.equal(['warn peers', 'fail sockets', 'warn daemon']);
  });

  it('tries every secret, the topic and the subscription, and changes nothing there', async () => {
    const secret = canary();
    google().secret('key', [secret]);
    google().secret('off', [secret]);
    const gcp = (more: Record<string, unknown>) => ({
      sources: { files: [{ path: './secrets' }], gcp: google().options(more) },
    });
    const good = lay(gcp({ secrets: [{ secret: 'key', at: 'llm.key' }], notifications: { topic: google().topic } }));
    const { bad, stdout, findings } = await ask(good);
    expect(bad).deep.equal(['warn daemon']);
    expect(findings.map(({ check }) => check)).include.members(['credentials', 'secret key', 'topic', 'subscription']);
    expectNoCanary('its words', stdout, [secret]);
    const discover = { filter: 'labels.app=billing', at: 'extra' };
    const none = await ask(lay(gcp({ secrets: [{ secret: 'key', at: 'llm.key' }], discover })));
    expect(none.bad).deep.equal(['warn secrets with labels.app=billing', 'warn daemon']);
    const secrets = [
      { secret: 'key', at: 'llm.key' },
      { secret: 'none', at: 'extra.none' },
    ];
    const notifications = { topic: 'no-such-topic', subscription: 'no-such-subscription' };
    const worse = await ask(lay(gcp({ secrets, notifications })));
    expect(worse.bad).include.members(['fail secret none', 'fail topic', 'fail subscription', 'fail settings']);
    expect(worse.findings.find(({ check }) => check === 'topic')!.mend).contain('gcloud pubsub topics create');
  });
});
