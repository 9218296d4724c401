import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { closeProcessDoors, openDoors } from '../../daemon/ops/process-doors.ts';
import { hotconf, main, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { NotifyReceiver } from '../support/notify-receiver.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';

describe('fault 65: options of Node that show the memory', () => {
  const scratch = useScratch();
  const run = useProcesses();
  const start = (NODE_OPTIONS: string, options = {}) =>
    hotconf(['start', '--config', layExample(scratch(), options)], {
      env: { PATH: process.env.PATH, NODE_OPTIONS },
      timeout: 20_000,
    });

  for (const option of [
    '--inspect=127.0.0.1:0',
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot_signal=SIGUSR2',
    '--report-on-signal',
  ])
    it(`65: ${option} in NODE_OPTIONS ends a start by 78, which names it, before anything is read`, async () => {
      const { code, lastWords, stdout } = await start(option);
      expect(code, lastWords).equal(78);
      expect(lastWords).contain(`NODE_OPTIONS: ${option.split('=')[0]!.replace('_', '-')} would show the memory`);
      expect(stdout).equal('');
    });

  it('65: they are allowed in development', async () => {
    const daemon = run(['start', '--config', layExample(scratch(), { environment: 'development' })], {
      env: { PATH: process.env.PATH, NODE_OPTIONS: '--report-on-signal' },
    });
    await daemon.ready();
  });

  it('65: they are found in arguments of Node, in quotes and behind others', () => {
    expect(openDoors({ NODE_OPTIONS: '--no-warnings "--inspect-brk=0"' }, []).map(({ option }) => option)).deep.equal([
      '--inspect-brk',
    ]);
    expect(openDoors({}, ['--disable-sigusr1', '--heap-prof'])).deep.equal([
      { option: '--heap-prof', where: "Node's arguments" },
    ]);
    expect(openDoors({ NODE_OPTIONS: '--max-old-space-size=100 --require x' }, ['--permission'])).deep.equal([]);
  });

  it('65: SIGUSR1 opens no debugger in a daemon that was started without the flags of the command', async () => {
    const file = layExample(scratch());
    const [node, script] = [process.execPath, main];
    const daemon = await run([], {
      wrapper: ['sh', '-c', `exec ${node} ${script} start --config ${file}`],
    }).ready();
    daemon.child.kill('SIGUSR1');
    // A debugger says on stderr where it listens, before the process answers anything that is asked later.
    expect((await hotconf(['status', '--config', file])).code).equal(0);
    expect(daemon.stderr).not.contain('Debugger');
    expect(daemon.isRunning).equal(true);
  });

  it('65: no core is dumped, and its memory belongs to root, not to its user', async function () {
    const receiver = NotifyReceiver.open(scratch().path('notify'));
    if (!receiver) return skipBecause(this, 'there is no koffi');
    receiver.close();
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can start it as another user');
    const file = layExample(scratch());
    execFileSync('chown', ['-R', '47113:47113', scratch().folder]);
    const daemon = await run(['start', '--config', file], { uid: 47_113, gid: 47_113 }).ready();
    const { pid } = daemon.child;
    expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).match(/^Max core file size +0 +0 /m);
    // proc(5): root owns the files of a process that cannot be dumped, so that others of its user cannot open them.
    expect(statSync(`/proc/${pid}/mem`).uid).equal(0);
  });

  it('65: reports of Node hold no environment', () => {
    try {
      expect(process.report.getReport()).property('environmentVariables');
      closeProcessDoors('development', {});
      expect(process.report.getReport()).not.property('environmentVariables');
    } finally {
      Object.assign(process.report, { excludeEnv: false });
      process.removeAllListeners('SIGUSR1');
    }
  });
});
