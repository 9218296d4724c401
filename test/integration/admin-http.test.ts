import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { AdminHttp, askHttp, freePort } from '../support/admin-http.ts';
import { expectNoCanary } from '../support/canary.ts';
import { hotconf } from '../support/daemon-process.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe("the operator's HTTP", () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const start = async () => {
    const http = await AdminHttp.set(test());
    await test().start();
    return http;
  };
  const reads = ['summary', 'history', 'clients', 'config', 'status', 'explain?path=database.url'].map(
    (name) => `/admin/${name}`,
  );
  const changes = ['reload-config', 'rollback', 'unpin', 'rotate'].map((name) => `/admin/${name}`);

  it('lets a viewer look and an admin change, and nobody without a token', async () => {
    const http = await start();
    for (const route of [...reads, '/metrics']) {
      expect((await http.get(route)).status, route).equal(200);
      expect((await http.get(route, { token: http.tokens.admin })).status, route).equal(200);
      const { status, headers } = await http.get(route, { token: '' });
      expect([status, headers['www-authenticate']], route).deep.equal([401, 'Bearer realm="hotconf"']);
    }
    for (const route of changes) {
      expect((await http.post(route, {}, { token: http.tokens.viewer })).status, route).equal(403);
      expect((await http.post(route, {}, { token: '' })).status, route).equal(401);
    }
    expect((await http.post('/admin/reload-config')).body).include({ status: 'success', outcome: 'unchanged' });
    expect(test().revision).equal(1);
  });

  it('answers a reload as it is documented', async () => {
    test().options.hotReload = false;
    const http = await start();
    edit('url-2');
    const done = await http.post('/admin/reload-config', { reason: 'because' });
    expect(done.status).equal(200);
    expect(done.body).deep.include({
      status: 'success',
      message: 'Configuration reloaded',
      outcome: 'committed',
      revision: 2,
      changed: ['database.url'],
    });
    edit('2');
    const refused = await http.post('/admin/reload-config');
    expect(refused.status).equal(422);
    expect(refused.body).include({ status: 'error', code: 'settings_invalid' });
    expect(refused.body.issues[0]).include({ path: 'database.url' });
    const [record] = (await http.get('/admin/history?limit=2')).body.slice(1);
    expect(record).include({ by: 'the-admin', reason: 'because', outcome: 'committed' });
    // curl -X POST, without a body.
    const bare = await askHttp({ host: '127.0.0.1', port: http.port }, '/admin/unpin', {
      method: 'POST',
      token: http.tokens.admin,
    });
    expect(bare.status).oneOf([200, 422]);
  });

  it('limits the reloads that operators ask for, and lets them join one that runs', async () => {
    const http = await AdminHttp.set(test());
    test().options.admin = { ...(test().options.admin as object), rateLimit: { reloads: 1, per: '1m' } };
    await test().start();
    const joined = await Promise.all([1, 2, 3].map(() => http.post('/admin/reload-config')));
    expect(joined.map(({ status }) => status)).deep.equal([200, 200, 200]);
    const { status, headers, body } = await http.post('/admin/reload-config');
    expect([status, body.code]).deep.equal([429, 'rate_limited']);
    expect(Number(headers['retry-after'])).within(1, 60);
    expect((await http.post('/admin/reload-config', { dryRun: true })).status).equal(200);
    expect(test().logged('admin_request_refused').length).equal(1);
    // On the host itself, in the middle of something, nobody is to wait.
    for (let i = 0; i < 3; i++)
      expect(await hotconf(['reload', '--config', test().scratch.path('hotconf.yaml')])).include({ code: 0 });
  });

  it('asks nothing for a reload that is rejected', async () => {
    const http = await AdminHttp.set(test());
    test().options.admin = { ...(test().options.admin as object), rateLimit: { reloads: 1, per: '1m' } };
    test().options.hotReload = false;
    await test().start();
    test().scratch.write('secrets/app.yaml', 'database: { url: 5 }\n');
    for (let i = 0; i < 3; i++) expect((await http.post('/admin/reload-config')).status).equal(422);
    test().scratch.write('secrets/app.yaml', 'database: { url: mended }\n');
    expect((await http.post('/admin/reload-config')).status).equal(200);
    expect((await http.post('/admin/reload-config')).status).equal(429);
  });

  it('answers metrics and probes without a token where they are to be reached, and nothing else there', async () => {
    const [port, http] = [await freePort(), await AdminHttp.set(test())];
    test().options.admin = { ...(test().options.admin as object), metrics: { listen: `0.0.0.0:${port}` } };
    await test().start();
    const get = async (path: string, headers = {}) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      return { status: answer.status, text: await answer.text() };
    };
    expect((await get('/metrics')).text).match(/^config_snapshot_revision 1$/m);
    for (const path of ['/livez', '/readyz', '/healthz']) expect((await get(path)).status, path).equal(200);
    for (const path of ['/admin/summary', '/admin/config', '/', '/admin/events'])
      expect((await get(path, { authorization: `Bearer ${http.tokens.admin}` })).status, path).equal(404);
  });

  it('takes every line of a token file, and reads it again when it has changed', async () => {
    const http = await start();
    const [old, next] = [http.tokens.viewer, http.tokens.viewer.split('').reverse().join('')];
    http.writeTokens('viewer', old, next);
    for (const token of [old, next]) expect((await http.get('/admin/summary', { token })).status).equal(200);
    http.writeTokens('viewer', next);
    expect((await http.get('/admin/summary', { token: old })).status).equal(401);
    expect((await http.get('/admin/summary', { token: next })).status).equal(200);
  });

  it('gives nobody in by a token file that cannot be used, and says so until it can', async () => {
    test().scratch.open();
    const http = await start();
    const file = test().scratch.path('viewer.token');
    const bad: readonly (() => void)[] = [
      () => http.writeTokens('viewer'),
      () => http.writeTokens('viewer', 'short'),
      // Long enough, but nobody would call them random, or too few kinds of characters for their length.
      () => http.writeTokens('viewer', 'a'.repeat(48)),
      () => http.writeTokens('viewer', 'abc'.repeat(16)),
      () => http.writeTokens('viewer', '0123456789'.repeat(3)),
      () => http.writeTokens('viewer', http.tokens.viewer.slice(0, 31)),
      () => http.writeTokens('viewer', `${http.tokens.viewer} and more`),
      () => chmodSync(file, 0o644),
      () => rmSync(file),
      () => (rmSync(file), symlinkSync(file, file)),
    ];
    for (const [i, spoil] of bad.entries()) {
      spoil();
      expect((await http.get('/admin/summary')).status, `spoilt by ${i}`).equal(401);
      expect(test().daemon!.reports.health().reasons, `spoilt by ${i}`).deep.equal(['tokens']);
      rmSync(file, { force: true });
      http.writeTokens('viewer', http.tokens.viewer);
      expect((await http.get('/admin/summary')).status, `mended after ${i}`).equal(200);
      expect(test().daemon!.reports.health().reasons).deep.equal([]);
    }
  });

  it('does not start with a token that cannot be used, or on an address that others reach', async () => {
    const http = await AdminHttp.set(test());
    const failed = () =>
      test()
        .start()
        .then(
          () => undefined,
          (error) => error,
        );
    http.writeTokens('admin');
    expect(await failed())
      .include({ code: 'token_unusable', exitCode: 77 })
      .property('message')
      .contain('admin.token');
    http.writeTokens('admin', http.tokens.admin);
    const { http: options } = test().options.admin as { http: { listen: string } };
    options.listen = '0.0.0.0:8787';
    expect(await failed()).include({ code: 'options_unusable', exitCode: 78 });
    const taken = createServer().listen(0, '127.0.0.1');
    await until('it listens', () => taken.listening);
    options.listen = `127.0.0.1:${(taken.address() as { port: number }).port}`;
    expect(await failed()).include({ code: 'address_unusable', exitCode: 73 });
    await new Promise((done) => taken.close(done));
  });

  it('tells without a token whether it lives and serves, and hides nothing of what is wrong', async () => {
    const http = await start();
    const ask = (path: string) => http.get(path, { token: '' });
    expect(await ask('/livez')).include({ status: 200 });
    expect((await ask('/readyz')).body).deep.equal({ status: 'ready', reasons: [] });
    test().scratch.write('secrets/app.yaml', 'database: [');
    await until('it is stale', async () => (await ask('/readyz')).body.status === 'stale');
    const { status, body, text } = await ask('/healthz');
    expect(status).equal(200);
    expect(body.reasons).deep.equal(['source:files:./secrets']);
    const [defaults, files] = body.sources;
    expect(files.state).equal('stale');
    expect(defaults.ageSeconds).within(0, 5);
    await until('its age grows', async () => (await ask('/healthz')).body.sources[1].ageSeconds > files.ageSeconds);
    expect(text, 'no message, no path in the settings').not.contain('app.yaml');
    edit('url-2');
    await until('it is ready again', async () => (await ask('/readyz')).body.status === 'ready');
  });

  it('takes a secret out of the reason that somebody gives, wherever that is shown', async () => {
    const http = await start();
    const secret = test().canary();
    edit(secret);
    await until('it is served', () => test().revision === 2);
    const answer = await http.post('/admin/rollback', { to: 1, reason: `${secret} has leaked` });
    expect(answer.body.pinned.reason).equal('[redacted] has leaked');
    for (const path of ['summary', 'status', 'history']) {
      const { text } = await http.get(`/admin/${path}`);
      expect(text, path).contain('has leaked');
      expectNoCanary(path, text, [secret]);
    }
    const summary = await (await test().connect()).summary();
    expectNoCanary('what a program is told', JSON.stringify(summary), [secret]);
  });

  it('stops when it is told to, whoever has not ended a request', async () => {
    const http = await start();
    const options = { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': '100' } };
    const local = request({ ...options, socketPath: test().scratch.path('run/admin.sock'), path: '/admin/unpin' });
    const remote = request(`${http.origin}/admin/unpin`, options);
    for (const asked of [local, remote]) asked.on('error', () => {}).write('{');
    await until('both are there', async () => (await http.get('/livez')).status === 200);
    await test().stop();
  });

  it('lets sixteen follow at a time, fifteen of one token, and forgets those that only asked for the head', async () => {
    const http = await start();
    for (let i = 0; i < 20; i++) expect((await http.get('/admin/events', { method: 'HEAD' })).status).equal(405);
    const headers = { authorization: `Bearer ${http.tokens.viewer}` };
    let isOpen = 0;
    const follow = (authorization = headers.authorization) =>
      request(`${http.origin}/admin/events`, { headers: { authorization }, agent: false }, (response) => {
        isOpen++;
        response.on('error', () => {}).resume();
      })
        .on('error', () => {})
        .end();
    const readers = Array.from({ length: 15 }, () => follow());
    await until('all of the viewer are there', () => isOpen === 15);
    expect((await http.get('/admin/events')).status, 'the viewer leaves a place').equal(429);
    readers.push(follow(`Bearer ${http.tokens.admin}`));
    await until('the admin has it', () => isOpen === 16);
    const { status, headers: told } = await http.get('/admin/events');
    expect([status, told['retry-after']]).deep.equal([429, '5']);
    readers[0]!.destroy();
    await until('there is room again', async () => {
      const asked = request(`${http.origin}/admin/events`, { headers, agent: false })
        .on('error', () => {})
        .end();
      const response = await new Promise<{ statusCode?: number }>((resolve) => asked.once('response', resolve));
      asked.destroy();
      return response.statusCode === 200;
    });
    for (const reader of readers) reader.destroy();
  });

  it('lets looks at what a reload would do join each other', async () => {
    test().options.hotReload = false;
    const http = await start();
    edit('url-2');
    const look = () => http.post('/admin/reload-config', { dryRun: true });
    const answers = await Promise.all(Array.from({ length: 20 }, look));
    expect(new Set(answers.map(({ text }) => text)).size).equal(1);
    expect(answers[0]!.body).deep.include({ valid: true, changed: ['database.url'] });
    expect(test().revision).equal(1);
  });

  it('is alive and not ready while it starts, and says so', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await until('it listens', () => silent.listening);
    const { port } = silent.address() as { port: number };
    const { sources } = test().options as { sources: object };
    const gcp = {
      project: 'p',
      secrets: [{ secret: 'key', at: 'llm.key' }],
      endpoints: { secretManager: `127.0.0.1:${port}` },
    };
    Object.assign(test().options, { sources: { ...sources, gcp }, reload: { deadline: '4s', startWait: '0s' } });
    const http = await AdminHttp.set(test());
    const failed = test()
      .start()
      .then(
        () => undefined,
        (error) => error,
      );
    await until('it lives', async () => (await http.get('/livez').catch(() => undefined))?.status === 200);
    for (const path of ['/readyz', '/healthz']) {
      const { status, body } = await http.get(path, { token: '' });
      expect([status, body.status], path).deep.equal([503, 'starting']);
    }
    expect((await http.get('/admin/summary')).status).equal(503);
    expect((await http.post('/admin/rollback', { to: 1 })).status).equal(503);
    expect((await failed).code).equal('secret_unavailable');
    silent.close();
  });

  it('follows what happens, by server-sent events', async () => {
    const http = await start();
    const headers = { authorization: `Bearer ${http.tokens.viewer}` };
    let text = '';
    const asked = request(`${http.origin}/admin/events`, { headers }, (response) =>
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
      }),
    ).end();
    await until('it is open', () => text.startsWith(':'));
    const secret = test().canary();
    edit(secret);
    await until('the reload is told', () => text.includes('event: reload'));
    const [, data] = /event: reload\ndata: (.*)\n\n/.exec(text)!;
    expect(JSON.parse(data!)).deep.include({ outcome: 'committed', revision: 2, changed: ['database.url'] });
    await test().connect();
    await until('the program is told', () => text.includes('event: sessions'));
    test().scratch.write('secrets/app.yaml', 'database: [');
    await until('the trouble is told', () => text.includes('event: trouble'));
    edit('well-again');
    await until('the recovery is told', () => text.includes('event: recovery'));
    expectNoCanary('the events', text, test().canaries);
    asked.destroy();
  });

  it('has metrics that promtool accepts, without a name of a secret, a program or a process', async function () {
    const http = await start();
    const config = await test().connect({ name: 'a-program' });
    edit('url-2');
    await until('it has it', () => config.settings.database.url === 'url-2');
    edit('x');
    await until('it is refused', () => test().logged('config_reload_failed').length > 0);
    const { text, headers } = await http.get('/metrics');
    expect(headers['content-type']).match(/^text\/plain; version=0\.0\.4/);
    const value = (line: string) => Number(new RegExp(`^${line.replace(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1]);
    expect(value('config_reload_total{trigger="file",outcome="committed"}')).equal(1);
    expect(value('config_reload_total{trigger="file",outcome="rejected"}')).equal(1);
    expect(value('config_reload_errors_total{reason="settings_invalid"}')).equal(1);
    expect(value('config_last_reload_successful')).equal(0);
    expect(value('config_snapshot_revision')).equal(2);
    expect(value('config_clients{view="default",state="current"}')).equal(1);
    expect(value('config_acks_total{outcome="accepted"}')).equal(2);
    expect(value('config_source_stale{source="files:./secrets"}')).equal(1);
    expect(value('config_change_to_commit_seconds_count{source="files:./secrets"}')).equal(1);
    expect(value('config_change_to_commit_seconds_sum{source="files:./secrets"}')).within(0.04, 5);
    expect(value('config_commit_to_ack_seconds_count{view="default"}')).equal(2);
    for (const name of metricNames) expect(text, name).match(new RegExp(`^# TYPE ${name} `, 'm'));
    expect(text).not.match(/pid|a-program|database/);
    try {
      execFileSync('promtool', ['check', 'metrics'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return skipBecause(this, 'promtool is not installed');
      throw new Error(String((error as { stderr: Buffer }).stderr));
    }
  });

  it('says the same on the socket, to the user whom the kernel names', async () => {
    await start();
    const { status, body } = await askHttp({ socketPath: test().scratch.path('run/admin.sock') }, '/admin/status');
    expect(status).equal(200);
    expect(body.you).include({ name: `uid ${process.getuid!()}`, role: 'admin', pid: process.pid });
  });
});

/** DESIGN.md, section 7. */
const metricNames = [
  'config_reload_total',
  'config_reload_duration_seconds',
  'config_reload_errors_total',
  'config_last_reload_successful',
  'config_last_reload_success_timestamp_seconds',
  'config_snapshot_revision',
  'config_snapshot_age_seconds',
  'config_source_last_success_timestamp_seconds',
  'config_source_stale',
  'config_change_to_commit_seconds',
  'config_commit_to_ack_seconds',
  'config_clients',
  'config_acks_total',
  'config_conflated_snapshots_total',
  'config_pubsub_messages_total',
  'config_secret_access_total',
  'config_watch_errors_total',
  'hotconf_build_info',
  'process_cpu_seconds_total',
  'nodejs_eventloop_lag_seconds',
];
