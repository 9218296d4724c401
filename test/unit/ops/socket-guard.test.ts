import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { SocketFile } from '../../../daemon/ops/socket-file.ts';
import { SocketGuard } from '../../../daemon/ops/socket-guard.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { useScratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';

describe('the guard of the sockets', () => {
  const scratch = useScratch();
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('reports a folder that nobody can look into, and is content when it is as before', async () => {
    mkdirSync(scratch().path('run'));
    const server = createServer();
    servers.push(server);
    const file = new SocketFile(scratch().path('run/s'), { mode: 0o660 }, (temporary) =>
      server.close().listen(temporary),
    );
    await file.publish();
    const clock = new FakeClock();
    const problems: (string | undefined)[] = [];
    const onProblem = (problem: string | undefined) => void problems.push(problem);
    const guard = new SocketGuard({ files: [file], prepareFolder: () => {}, clock, log: () => {}, onProblem });
    await guard.start();

    renameSync(scratch().path('run'), scratch().path('away'));
    symlinkSync('run', scratch().path('run'));
    expect(file.isLost, 'lstat fails by ELOOP').equal(true);
    await clock.advance(5_000);
    await until('it is reported', () => problems.length === 1);
    expect(problems[0]).contain('ELOOP');

    rmSync(scratch().path('run'));
    renameSync(scratch().path('away'), scratch().path('run'));
    await clock.advance(5_000);
    await until('it is over', () => problems.length === 2);
    expect(problems[1]).equal(undefined);
    const program = connect(file.path);
    await once(program, 'connect');
    program.destroy();
    await guard.stop();
    file[Symbol.dispose]();
  });

  it('goes on after a check that fails in a way that nobody foresaw', async () => {
    let checks = 0;
    const file = {
      get isLost(): boolean {
        checks++;
        throw new Error('unforeseen');
      },
    } as SocketFile;
    const clock = new FakeClock();
    const problems: unknown[] = [];
    const onProblem = (problem: unknown) => void problems.push(problem);
    const guard = new SocketGuard({ files: [file], prepareFolder: () => {}, clock, log: () => {}, onProblem });
    await guard.start();
    await clock.advance(11_000);
    expect(checks).equal(2);
    expect(problems[0]).equal('the sockets cannot be checked: unforeseen');
    await guard.stop();
    expect(clock.waiting).equal(0);
  });
});
