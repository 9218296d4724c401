import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { RuntimeFolder } from '../../../daemon/ops/runtime-folder.ts';
import { SocketFile } from '../../../daemon/ops/socket-file.ts';
import { useScratch } from '../../support/scratch.ts';

describe('the folder of the sockets', () => {
  const scratch = useScratch();
  const folders: RuntimeFolder[] = [];
  const servers: Server[] = [];
  const folder = () => {
    const made = new RuntimeFolder(scratch().path('run'), [], 0o750);
    folders.push(made);
    return made;
  };
  const refusal = (act: () => void) => {
    try {
      act();
      return 'taken';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  afterEach(async () => {
    await Promise.all(folders.splice(0).map((made) => made.stop()));
    for (const server of servers.splice(0)) server.close();
  });

  it('is of one daemon at a time, also when its sockets were deleted', async () => {
    const [first, second] = [folder(), folder()];
    await first.start();
    expect(refusal(() => second.restore())).equal('already_running');
    await first.stop();
    await second.start();
    expect(refusal(() => first.restore())).equal('already_running');
  });

  it('is of whoever makes it again when it was deleted, and then of nobody else', async () => {
    const [first, second] = [folder(), folder()];
    await first.start();
    rmSync(scratch().path('run'), { recursive: true });
    second.restore();
    expect(refusal(() => first.restore())).equal('already_running');
    renameSync(scratch().path('run'), scratch().path('away'));
    first.restore();
    expect(refusal(() => second.restore())).equal('already_running');
  });

  it('is rid of what killed daemons have left of a socket, and of nothing else', async () => {
    mkdirSync(scratch().path('run'), { mode: 0o750 });
    const left = ['.s.4194305', '.s.77'];
    const others = ['.s.x', '.other.77', 's.77'];
    for (const name of [...left, ...others]) writeFileSync(scratch().path('run', name), '');
    const live = createServer().listen(scratch().path('run/.s.78'));
    const server = createServer();
    servers.push(live, server);
    await new Promise((done) => live.once('listening', done));
    const file = new SocketFile(scratch().path('run/s'), { mode: 0o600 }, (temporary) => server.listen(temporary));
    await file.publish();
    for (const name of left) expect(existsSync(scratch().path('run', name)), name).equal(false);
    for (const name of [...others, '.s.78', 's']) expect(existsSync(scratch().path('run', name)), name).equal(true);
    file[Symbol.dispose]();
  });
});
