import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { askSocket } from '../support/ask-socket.ts';
import { OtherPrograms } from '../support/other-programs.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('faults 51 to 53: operators and programs that refuse', () => {
  const others: OtherPrograms[] = [];
  afterEach(() => Promise.all(others.splice(0).map((programs) => programs.kill())));
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const post = (route: string, body: object = {}) => askSocket(test().scratch.path('run/admin.sock'), route, body);
  const startWithThree = async () => {
    edit('url-1');
    await test().start();
    for (const revision of [2, 3]) {
      edit(`url-${revision}`);
      await until(`revision ${revision}`, () => test().revision === revision);
    }
  };
  const verifying = async (verify: 'hang' | 'die') => {
    const programs = await OtherPrograms.start(test().socket, { name: 'verifying', verify });
    others.push(programs);
    return programs;
  };

  it('51: a reload during a reload joins it', async () => {
    await startWithThree();
    const before = test().logged('config_reload_started').length;
    const answers = await Promise.all([1, 2, 3].map(() => post('/admin/reload-config')));
    expect(answers.map(({ status }) => status)).deep.equal([200, 200, 200]);
    expect(test().logged('config_reload_started').length - before).equal(1);
  });

  it('51: of two rollbacks at once one wins, the other gets 409, and the history is linear', async () => {
    await startWithThree();
    const answers = await Promise.all([1, 2].map((to) => post('/admin/rollback', { to, expect: 3 })));
    expect(answers.map(({ status }) => status)).deep.equal([200, 409]);
    expect(answers[1]!.body).include({ code: 'revision_conflict' });
    expect(test().revision).equal(4);
    const revisions = test()
      .daemon!.reports.history()
      .filter(({ outcome }) => outcome === 'committed');
    expect(revisions.map(({ revision }) => revision)).deep.equal([4, 3, 2, 1]);
    // Without a condition both are done, one after the other.
    const both = await Promise.all([1, 2].map((to) => post('/admin/rollback', { to })));
    expect(both.map(({ status, body }) => [status, body.outcome, body.revision])).deep.equal([
      [200, 'unchanged', 4],
      [200, 'committed', 5],
    ]);
    expect(test().daemon!.reports.summary().pinned).include({ to: 2, revision: 5 });
  });

  it('52: a rollback to what the schema refuses by now is 422, and changes nothing', async () => {
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    await startWithThree();
    await test().stop();
    const schema = { properties: { database: { properties: { url: { pattern: '^url-[3-9]' } } } } };
    test().scratch.write('app.schema.json', JSON.stringify(schema));
    await test().start();
    const config = await test().connect();
    const { status, body } = await post('/admin/rollback', { to: 1 });
    expect(status).equal(422);
    expect(body).include({ status: 'error', code: 'settings_invalid' });
    expect(body.issues[0]).include({ path: 'database.url', keyword: 'pattern' });
    expect(config.settings.database.url).equal('url-3');
    expect(test().daemon!.reports.summary()).include({ revision: 3, pinned: null });
    expect(test().daemon!.reports.history()[0]).include({ outcome: 'rejected', cause: 'rollback', to: 1 });
  });

  it('53: a program that hangs while it tries a candidate refuses it for all, and is named', async () => {
    test().options.rollout = { verifyTimeout: '400ms' };
    await test().start();
    await verifying('hang');
    const config = await test().connect();
    edit('bad-url');
    await until('it is refused', () => test().logged('config_reload_failed').length === 1);
    expect(test().logged('config_reload_failed')[0]!.message).contain('verifying-0');
    expect(config.snapshot.revision).equal(1);
    edit('url-2');
    await until('it goes on', () => config.settings.database.url === 'url-2');
  });

  it('53: a program that dies while it tries a candidate refuses it for all; without it, it is tried again', async () => {
    await test().start();
    await verifying('die');
    const config = await test().connect();
    edit('bad-url');
    await until('it is refused', () => test().logged('config_reload_failed').length === 1);
    expect(test().logged('config_reload_failed')[0]).include({ code: 'subscriber_silent' });
    expect(test().logged('config_reload_failed')[0]!.message)
      .contain('verifying-0')
      .contain('was lost while it tried it');
    expect(config.snapshot.revision).equal(1);
    await until('nobody is left who refuses it', () => config.settings.database.url === 'bad-url');
  });
});
