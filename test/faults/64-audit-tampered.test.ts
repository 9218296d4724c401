import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { verifyAudit } from '../../daemon/commands/audit.ts';
import type { DaemonError } from '../../daemon/model/errors.ts';
import { chainStart, type Link, verifyChain } from '../../daemon/observe/audit-chain.ts';
import { archives, linesOf } from '../../daemon/observe/audit-files.ts';
import { AuditHead, anchorOf, type HeadStore, readAnchor } from '../../daemon/observe/audit-head.ts';
import { AuditLog } from '../../daemon/observe/audit-log.ts';
import { askSocket } from '../support/ask-socket.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { useScratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('fault 64: somebody who may write the state folder, and has no key, changes the audit log', () => {
  const test = useDaemon();
  const file = () => test().scratch.path('state/audit.jsonl');
  const lines = () => linesOf(readFileSync(file(), 'utf8'));
  const cutTo = (kept: readonly string[]) => writeFileSync(file(), kept.map((line) => `${line}\n`).join(''));
  const reloads = async (count: number) => {
    for (let i = 0; i < count; i++) await askSocket(test().scratch.path('run/admin.sock'), '/admin/reload-config', {});
  };
  const verify = async (anchor?: string) => {
    const stdout = new MemoryStream();
    const io = { stdout, stderr: stdout, env: {} } as never;
    await verifyAudit({ config: test().scratch.path('hotconf.yaml'), ...(anchor && { anchor }) }, io);
    return stdout.text.trimEnd();
  };
  const withDatabase = <T>(use: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(test().scratch.path('state/state.db'));
    try {
      return use(db);
    } finally {
      db.close();
    }
  };
  const head = () =>
    withDatabase((db) => String(db.prepare("SELECT value FROM state WHERE name = 'auditHead'").get()!.value));
  const setHead = (text: string) =>
    withDatabase((db) => db.prepare("UPDATE state SET value = ? WHERE name = 'auditHead'").run(text));
  /** What the next start says of the audit log. */
  const saidAtStart = async () => {
    const before = test().logged('audit_broken').length;
    await test().start();
    await until('it has started', () => lines().some((line) => line.includes('"what":"reload"')));
    const reasons = test().daemon!.reports.health().reasons;
    await test().stop();
    const said = test().logged('audit_broken').slice(before);
    if (said.length > 0) expect(reasons, 'it is degraded').include('audit-chain');
    return said.map(({ message }) => message as string).join('; ');
  };
  const lay = async () => {
    await test().start();
    await reloads(3);
    await test().stop();
    expect(await verify()).match(/^whole/);
  };

  it('64: the beginning cut off is found, also when the file is named as one that follows another', async () => {
    await lay();
    const all = lines();
    cutTo(all.slice(4));
    expect(await verify()).contain('is 5: the beginning is missing, from 1');
    renameSync(file(), test().scratch.path('state/audit-000000000001.jsonl'));
    expect(await verify()).contain('is 5: the beginning is missing, from 1');
  });

  it('64: the end cut off and the head set to what is left is found at the next start, and stays visible', async () => {
    await lay();
    const kept = lines().slice(0, -4);
    const { seq, hmac } = JSON.parse(kept.at(-1)!);
    cutTo(kept);
    const { programs, ...now } = JSON.parse(head());
    setHead(JSON.stringify({ ...now, operators: { seq, hmac }, programs }));
    expect(await verify()).contain('its head was changed, or has another key');
    setHead(JSON.stringify({ seq, hmac }));
    expect(await saidAtStart()).contain('its head was changed, or has another key');
    expect(await verify()).contain(`follows ${seq} and is ${seq + 2}: records are missing`);
  });

  it('64: a head that is put back to an earlier one is said at the next start, as is one that is gone', async () => {
    await lay();
    const earlier = head();
    expect(await saidAtStart()).equal('');
    setHead(earlier);
    expect(await saidAtStart()).contain('the head was put back');
    withDatabase((db) => db.exec("DELETE FROM state WHERE name = 'auditHead'"));
    expect(await verify()).contain('its head cannot be read');
    expect(await saidAtStart()).contain('the head was put back');
    expect(await saidAtStart()).equal('');
  });

  it('64: verify says what it could not check while the daemon that runs does not answer it', async () => {
    await test().start();
    await reloads(1);
    const socket = test().scratch.path('run/admin.sock');
    renameSync(socket, `${socket}.away`);
    try {
      expect(await verify()).match(/^whole: .*\nnot checked: whether the end was cut off/);
    } finally {
      renameSync(`${socket}.away`, socket);
    }
  });

  it('64: a file of an earlier time, or of another daemon, in the place of the newest is found', async () => {
    await lay();
    const [all, now] = [lines(), head()];
    copyFileSync(file(), test().scratch.path('earlier.jsonl'));
    expect(await saidAtStart()).equal('');
    copyFileSync(test().scratch.path('earlier.jsonl'), file());
    expect(await verify()).contain('the end was cut off');
    expect(await saidAtStart()).contain('its end was cut off');
    cutTo(all);
    setHead(now);
    const other = new AuditLog({
      stateDir: test().scratch.path('.'),
      key: Buffer.alloc(32, 1),
      head: { auditHead: chainStart },
    });
    for (let i = 0; i < 30; i++) other.append([{ what: 'reload' }]);
    other.close();
    copyFileSync(test().scratch.path('audit.jsonl'), file());
    expect(await verify()).contain('was changed, or has another key');
    expect(await saidAtStart()).match(/is another one|another key/);
  });

  it('64: all of it put back to an earlier time, head included, does not fit the anchor in the journal', async () => {
    await lay();
    const folder = test().scratch.path('state');
    const copies = readdirSync(folder).filter((name) => /audit|state\.db/.test(name));
    for (const name of copies) copyFileSync(`${folder}/${name}`, test().scratch.path(name));
    await test().start();
    await reloads(1);
    await test().stop();
    const anchor = test().logged('audit_anchor').at(-1)!;
    expect(await verify(String(anchor.anchor))).match(/^whole/);
    for (const name of readdirSync(folder).filter((found) => /audit.*jsonl|state\.db/.test(found)))
      rmSync(`${folder}/${name}`);
    for (const name of copies) copyFileSync(test().scratch.path(name), `${folder}/${name}`);
    expect(await verify(), 'which nothing in the folder shows').match(/^whole/);
    expect(await verify(JSON.stringify(anchor)), 'the line as it is logged').contain('the end was cut off');
    // Gone on from there, it has other records than those that the journal knows.
    await test().start();
    await reloads(4);
    await test().stop();
    expect(await verify(anchor.message)).contain('than was written');
    const refused = await verify('none').catch((error: DaemonError) => error.code);
    expect(refused).equal('usage');
  });

  describe('in full files', () => {
    const scratch = useScratch();
    const key = Buffer.alloc(32, 7);
    const open = (store: HeadStore) =>
      new AuditLog({
        stateDir: scratch().folder,
        key,
        head: new AuditHead(store, key).of('operators'),
        maxBytes: 900,
        keep: 3,
      });
    const write = (log: AuditLog, count: number) => {
      for (let i = 0; i < count; i++) log.append([{ what: 'a test', i }]);
    };
    const why = (...known: Link[]) => verifyChain(scratch().folder, key, 'operators', known).broken?.why;

    it('64: the oldest file taken away is missed, at once and as long as it would have been kept', () => {
      const store: HeadStore = { auditHead: undefined };
      const log = open(store);
      write(log, 60);
      expect(archives(scratch().folder, 'operators')).length(3);
      expect(why()).equal(undefined);
      rmSync(archives(scratch().folder, 'operators')[0]!);
      expect(why()).contain('the beginning is missing');
      const files = () => archives(scratch().folder, 'operators').at(-1);
      const newest = files();
      while (files() === newest) write(log, 1);
      log.close();
      const again = open(store);
      expect(again.broken).equal(undefined);
      write(again, 1);
      again.close();
      rmSync(archives(scratch().folder, 'operators')[0]!);
      expect(why()).contain('the beginning is missing');
    });

    it('64: an anchor that is older than what is kept breaks nothing', () => {
      const store: HeadStore = { auditHead: undefined };
      const log = open(store);
      write(log, 2);
      const { operators } = readAnchor(`a line ${anchorOf(new AuditHead(store, key).lasts)} of the log`)!;
      expect(operators).deep.equal(log.last);
      write(log, 60);
      log.close();
      expect(why(operators)).equal(undefined);
      expect(why({ seq: log.last.seq, hmac: 'f'.repeat(64) })).contain('than was written');
    });
  });
});
