import { chmodSync, chownSync, lchownSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { socketTransport } from '../../../client/socket-transport.ts';
import { distrust } from '../../../client/trusted-socket.ts';
import { useScratch } from '../../support/scratch.ts';
import { skipBecause } from '../../support/skip.ts';

const stranger = 33;
const mayServe = (uid: number) => uid === process.getuid!() || uid === 0;

describe('a socket that a program is to believe', () => {
  const scratch = useScratch();
  const servers: Server[] = [];
  const listen = async (...names: string[]) => {
    const server = createServer().listen(scratch().path(...names));
    servers.push(server);
    await new Promise((done) => server.once('listening', done));
  };
  const path = () => scratch().path('a/run/s');
  const why = () => distrust(path(), mayServe)?.message;
  beforeEach(async () => {
    mkdirSync(scratch().path('a/run'), { recursive: true });
    await listen('a/run/s');
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('is one of root or of a user who is believed, in folders of theirs', () => {
    expect(why()).equal(undefined);
  });

  it('is none that is gone, or that cannot be looked at', () => {
    for (const other of ['a/run/none', 'none/s', 'a/run/s/below']) {
      const error = distrust(scratch().path(other), mayServe);
      expect(error).include({ code: 'refused' });
      expect(error!.message).match(/cannot be looked at: (ENOENT|ENOTDIR)/);
    }
  });

  it('is none in a folder that everybody may write to, unless nobody can take what is not theirs', () => {
    chmodSync(scratch().path('a'), 0o777);
    expect(why()).contain(`everybody may write to ${scratch().path('a')}`);
    chmodSync(scratch().path('a'), 0o1777);
    expect(why()).equal(undefined);
  });

  for (const [what, spoil] of [
    ['whose owner is a stranger', () => chownSync(path(), stranger, stranger)],
    ['whose folder is a stranger’s', () => chownSync(scratch().path('a/run'), stranger, stranger)],
    ['that lies below a folder of a stranger', () => chownSync(scratch().path('a'), stranger, stranger)],
    [
      'behind a link of a stranger',
      () => {
        renameSync(scratch().path('a'), scratch().path('b'));
        symlinkSync('b', scratch().path('a'));
        lchownSync(scratch().path('a'), stranger, stranger);
      },
    ],
  ] as const)
    it(`is none ${what}`, function () {
      if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
      spoil();
      expect(why()).contain(`belongs to uid ${stranger}`);
    });

  it('is none, and nothing is thrown, where its folder is closed to the program', function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
    scratch().open();
    chmodSync(scratch().path('a'), 0);
    process.seteuid!(stranger);
    try {
      expect(why()).contain('cannot be looked at: EACCES');
    } finally {
      process.seteuid!(0);
    }
  });

  for (const [what, replace] of [
    [
      'its folder was renamed to and fro',
      () => {
        renameSync(scratch().path('a'), scratch().path('away'));
        renameSync(scratch().path('b'), scratch().path('a'));
      },
    ],
    [
      'it was renamed to and fro',
      () => {
        renameSync(path(), scratch().path('a/run/away'));
        renameSync(scratch().path('b/run/s'), path());
      },
    ],
  ] as const)
    it(`is left before anything is said when ${what} while the program connected`, async () => {
      mkdirSync(scratch().path('b/run'), { recursive: true });
      await listen('b/run/s');
      let isOpened = false;
      const closed = new Promise<Error | undefined>((resolve) => {
        const transport = socketTransport(path, mayServe);
        transport({
          onOpen: () => {
            isOpened = true;
          },
          onFrame: () => {},
          onClose: resolve,
        });
        replace();
      });
      expect((await closed)?.message).contain('was replaced meanwhile');
      expect(isOpened).equal(false);
    });
});
