import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { connect } from '../../../client/connect.ts';
import { ClientError } from '../../../client/errors.ts';
import { FakeDaemon, snapshotOf, welcome } from '../../support/fake-daemon.ts';
import { useScratch } from '../../support/scratch.ts';

const root = resolve(import.meta.dirname, '../../..');

describe('connect()', () => {
  const scratch = useScratch();
  let daemon: FakeDaemon;
  const socket = () => scratch().path('d.sock');
  beforeEach(async () => {
    daemon = await new FakeDaemon().start(socket());
  });
  afterEach(() => daemon.stop());

  for (const timeoutMs of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 31, '5s' as never, null as never])
    it(`refuses a timeoutMs of ${timeoutMs} before it connects`, async () => {
      const error = await connect({ socket: socket(), timeoutMs }).catch((reason) => reason);
      expect(error).instanceOf(ClientError).include({ code: 'usage' });
      expect(daemon.connections).equal(0);
    });

  for (const timeoutMs of [2 ** 31 - 1, Number.POSITIVE_INFINITY])
    it(`waits for settings that come later with a timeoutMs of ${timeoutMs}`, async () => {
      const waiting = connect({ socket: socket(), timeoutMs });
      await daemon.next('hello');
      daemon.send('welcome', welcome).send('snapshot', snapshotOf({ a: 1 }, 1));
      const config = await waiting;
      expect(config.settings).deep.equal({ a: 1 });
      await config.close();
    });

  for (const [what, isAllowed, output] of [
    ['fails by `refused` where Node may not look at the socket', false, 'refused --allow-fs-read\n'],
    ['works under --permission where Node may look at the socket', true, 'connected\n'],
  ] as const)
    it(`${what}, and the program goes on`, async () => {
      daemon.greeting = [
        { type: 'welcome', data: welcome },
        { type: 'snapshot', data: snapshotOf({ a: 1 }, 1) },
      ];
      const source = `
        import { connect } from ${JSON.stringify(resolve(root, 'client/index.ts'))};
        const failed = ({ code, message }) => code + ' ' + /--allow-fs-read/.exec(message);
        const config = await connect({ socket: ${JSON.stringify(socket())} }).catch(failed);
        console.log(typeof config === 'string' ? config : 'connected');
        if (typeof config !== 'string') await config.close();`;
      const reads = [root, ...(isAllowed ? [scratch().folder] : [])].map((path) => `--allow-fs-read=${path}`);
      const args = ['--permission', ...reads, '--input-type=module', '-e', source];
      const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = await once(child, 'exit');
      const [stdout, stderr] = await said;
      expect(stdout, stderr).equal(output);
      expect(code).equal(0);
    });
});
