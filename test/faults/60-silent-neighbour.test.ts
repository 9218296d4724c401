import { expect } from 'chai';
import type { Verify } from '../../client/types.ts';
import { runCommandLine } from '../../daemon/commands/command-line.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('60: a program of a limited view that does not answer, or refuses everything', () => {
  const test = useDaemon();
  const open: RawProgram[] = [];
  const url = (value: string) => test().scratch.write('secrets/database.yaml', `database: { url: ${value} }\n`);
  const feature = (name: string) => test().scratch.write('secrets/features.yaml', `features: { ${name}: true }\n`);
  const held = () => test().daemon!.reports.summary().held;
  const start = async (rollout = {}, web = {}) => {
    test().options.rollout = { verifyTimeout: '60s', ...rollout };
    test().options.views = { default: {}, web: { include: ['features'], mayReload: true, ...web } };
    test().scratch.write('secrets/app.yaml', '{}\n');
    url('url-1');
    feature('one');
    await test().start();
    return test().connect({ name: 'honest' });
  };
  /** A program of `web` that has taken its first snapshot, and does with each `verify` what it is given. */
  const hostile = async (onVerify: (program: RawProgram, nonce: string) => void = () => {}) => {
    const program = new RawProgram(test().scratch.path('run/web.sock'));
    open.push(program);
    program.hello({ name: 'hostile', capabilities: ['verify'] });
    const { nonce } = await program.next<{ nonce: string }>('snapshot');
    program.send('ack', { nonce, revision: 1, applyMs: 0 });
    let answered = 0;
    program.socket.on('data', () => {
      for (const { data } of program.of('verify').slice(answered)) onVerify(program, data.nonce as string);
      answered = program.of('verify').length;
    });
    return program;
  };
  const nack = (program: RawProgram, nonce: string) =>
    program.send('nack', { nonce, revision: 2, code: 'x', paths: [], message: 'no' });
  afterEach(() => {
    for (const { socket } of open.splice(0)) socket.destroy();
  });

  it('delays no change that its view does not show, and is asked once about its own', async () => {
    const config = await start();
    const silent = await hostile();
    feature('two');
    const { nonce, revision } = await silent.next<{ nonce: string; revision: number }>('verify');
    for (const value of ['url-2', 'url-3']) {
      url(value);
      await until('the other change is there', () => config.settings.database.url === value);
    }
    expect(config.settings.features).deep.equal({ beta: false, one: true });
    silent.send('ack', { nonce, revision, applyMs: 0 });
    await until('its own change is there, too', () => config.settings.features.two === true);
    expect(config.settings.database.url).equal('url-3');
    expect(silent.of('verify')).length(1);
  });

  it('delays no withdrawal, no rollback and no reload of an operator that asks nobody', async () => {
    const config = await start();
    const silent = await hostile();
    url('url-2');
    await until('it is there', () => config.settings.database.url === 'url-2');
    feature('two');
    await silent.next('verify');
    await test().daemon!.rollback({ to: 1 }, { by: 'operator' });
    await until('it is back', () => config.settings.database.url === 'url-1');
    const outcome = await test().daemon!.reload({ cause: 'operator' }, { noVerify: true });
    expect(outcome.kind).equal('committed');
    await until('all of it is there', () => config.settings.features.two === true);
    expect(config.settings.database.url).equal('url-2');
    expect(silent.of('verify')).length(1);
  });

  it('is overridden by an operator, which is in the audit log', async () => {
    const config = await start();
    const silent = await hostile();
    feature('two');
    await silent.next('verify');
    const io = { stdout: new MemoryStream(), stderr: new MemoryStream(), env: {} };
    const line = ['reload', '--no-verify', '--config', test().scratch.path('hotconf.yaml')];
    expect(await runCommandLine(line, io as never)).equal(0);
    expect(config.settings.features.two).equal(true);
    expect(test().scratch.read('state/audit.jsonl')).contain('"noVerify":true');
  });

  it('holds back only what its view shows of changes that come together', async () => {
    const config = await start();
    const refusing = await hostile(nack);
    url('url-2');
    feature('two');
    await until('the other change is there', () => config.settings.database.url === 'url-2');
    await until('its own is held back', () => held().length === 1);
    expect(held()[0]!.parts).deep.equal(['secrets/features.yaml']);
    expect(config.settings.features.two).equal(undefined);
    expect(refusing.of('verify').length).greaterThan(0);
  });

  it('is not asked where its view may not verify', async () => {
    const config = await start({}, { mayVerify: false });
    const silent = await hostile();
    feature('two');
    await until('it is there', () => config.settings.features.two === true);
    expect(silent.of('verify')).deep.equal([]);
  });

  it('withdraws, as one of the first in a rollout, only what its view shows', async () => {
    const config = await start({
      strategy: 'canary',
      canary: { subscribers: ['web/hostile'], share: '0%', bake: '300ms' },
    });
    const canary = await hostile((program, nonce) => program.send('ack', { nonce, revision: 2, applyMs: 0 }));
    const later = () =>
      canary.of('snapshot').concat(canary.of('patch')).at(-1)!.data as { revision: number; nonce: string };
    url('url-2');
    feature('two');
    await until('it has it first', () => later().revision > 1);
    nack(canary, later().nonce);
    await until('its own is withdrawn', () => held().some(({ kind }) => kind === 'withdrawn'));
    expect(held().flatMap(({ parts }) => parts)).deep.equal(['secrets/features.yaml']);
    await until('the other change goes to all', () => config.settings.database.url === 'url-2');
    expect(config.settings.features.two).equal(undefined);
  });

  it('has no say in what is staged when its view shows none of that any more', async () => {
    const canary = { subscribers: ['web/hostile', 'first'], share: '0%', bake: '1500ms' };
    const config = await start({ strategy: 'canary', canary, urgent: ['features.two'] });
    const accept = (program: RawProgram, nonce: string) => program.send('ack', { nonce, revision: 2, applyMs: 0 });
    const [first, program] = [await test().connect({ name: 'first' }), await hostile(accept)];
    program.socket.on('data', () => {
      for (const { data } of [...program.of('snapshot'), ...program.of('patch')])
        program.send('ack', { nonce: data.nonce, revision: data.revision, applyMs: 0 });
    });
    feature('zero');
    url('url-2');
    await until('it is staged', () => first.settings.database.url === 'url-2');
    // What its view shows goes to all, and the rest is staged again, with the same programs.
    feature('two');
    await until('the urgent change is there', () => config.settings.features.two === true);
    program.socket.destroy();
    await until('the rest goes to all', () => config.settings.database.url === 'url-2');
    expect(held()).deep.equal([]);
    const causes = test()
      .daemon!.reports.history()
      .map(({ cause }) => cause);
    expect(causes).not.contain('rollback');
  });

  it('makes no other program verify more often, whatever it asks for', async () => {
    await start();
    const tried: string[] = [];
    const verify: Verify<App> = ({ database }) => {
      tried.push(database.url);
      if (database.url.startsWith('bad')) throw new Error('no');
    };
    const strict = await test().connect({ name: 'strict', verify });
    const program = await hostile(nack);
    let isOver = false;
    const asking = (async () => {
      for (let id = 0; !isOver; id++) {
        const [reload, validate] = [`r${id}`, `v${id}`];
        program.send('request', { id: reload, kind: 'reload' }).send('request', { id: validate, kind: 'validate' });
        await until('they are answered', () => program.of('response').length >= 2 * (id + 1));
      }
    })();
    for (let i = 2; i < 12; i++) {
      url(`url-${i}`);
      await until('the change is there', () => strict.settings.database.url === `url-${i}`);
    }
    url('bad-url');
    await until('it is refused', () => held().some(({ parts }) => parts.includes('secrets/database.yaml')));
    isOver = true;
    await asking;
    const expected = ['url-1', ...Array.from({ length: 10 }, (_, i) => `url-${i + 2}`), 'bad-url'];
    expect(tried).deep.equal(expected);
  });
});
