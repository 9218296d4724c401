import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { StateStore } from '../../daemon/ops/state-store.ts';
import { useScratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('fault 67: flipped bytes in state.db while the sources are away', () => {
  const test = useDaemon();
  const path = (...names: string[]) => test().scratch.path(...names);
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const away = () => rmSync(path('secrets'), { recursive: true });
  const sealed = () => readdirSync(path('state/last-known-good')).sort();
  /** 40 bytes in each page, so that SQLite finds them wherever it looks. */
  const flip = () => {
    const bytes = readFileSync(path('state/state.db'));
    for (let page = 0; page < bytes.length; page += 4_096)
      for (let i = 0; i < 40; i++) bytes[page + (page === 0 ? 100 : 0) + i]! ^= 0xff;
    writeFileSync(path('state/state.db'), bytes);
  };
  const epoch = () => test().daemon!.reports.summary().epoch;
  beforeEach(async () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    await test().start();
    edit('url-2');
    await until('it is kept', () => sealed().join() === '1.sealed,2.sealed');
  });

  it('67: the last known good is served in a new epoch, degraded, and it is said that the state was damaged', async () => {
    const before = epoch();
    await test().stop();
    flip();
    away();
    await test().start();
    const config = await test().connect();
    expect(config.settings.database.url).equal('url-2');
    expect(epoch()).not.equal(before);
    const [damage] = test().logged('state_damaged');
    expect(damage)
      .include({ level: 'error' })
      .property('message')
      .match(/damaged: a new epoch begins.*state\.db\.damaged-\d+/);
    expect(test().daemon!.reports.health().reasons).include('state_damaged');
    expect(test().logged('last_known_good_refused')).deep.equal([]);
    await test().stop();
    await test().start();
    const again = await test().connect();
    expect(again.settings.database.url).equal('url-2');
    edit('url-3');
    await until('it goes on', () => again.settings.database.url === 'url-3');
    await test().stop();
    expect(sealed()).include.members(['1.sealed.foreign', '2.sealed.foreign', '3.sealed']);
    away();
    await test().start();
    expect((await test().connect()).settings.database.url).equal('url-3');
  });

  it('67: with another key nothing is served, and nothing advises to remove what was kept', async () => {
    await test().stop();
    flip();
    away();
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    const error = await test()
      .start()
      .then(
        () => undefined,
        (reason) => reason,
      );
    expect(error).property('code', 'source_missing');
    expect(test().logged('state_damaged')).length(1);
    for (const { message } of test().logged('last_known_good_refused')) expect(message).not.match(/remove|delete/);
    expect(sealed().every((name) => existsSync(path('state/last-known-good', name)))).equal(true);
  });
});

describe('fault 67: a database of the state that is not what was written', () => {
  const scratch = useScratch();
  const state = () => scratch().path('state');
  const open = () => {
    const store = StateStore.open(state());
    const { damaged, epoch } = store;
    store.close();
    return { damaged, epoch };
  };
  const change = (sql: string) => {
    const db = new DatabaseSync(scratch().path('state/state.db'));
    db.exec(sql);
    db.close();
  };

  for (const [what, sql] of [
    ['another epoch', "UPDATE state SET value = '00000000-0000-4000-8000-000000000000' WHERE name = 'epoch'"],
    ['no epoch', "DELETE FROM state WHERE name = 'epoch'"],
    ['a pin that is no JSON', "INSERT OR REPLACE INTO state (name, value) VALUES ('pin', '{\"to\":')"],
    ['a record that is no JSON', 'INSERT INTO history (record) VALUES (\'{"kind":\')'],
  ] as const)
    it(`67: is put aside: ${what}`, () => {
      const { epoch } = open();
      expect(open(), 'as it was').deep.equal({ damaged: undefined, epoch });
      change(sql);
      const after = open();
      expect(after.damaged).match(/state\.db\.damaged-\d+$/);
      expect(after.epoch).not.equal(epoch);
      expect(open(), 'and is well again').deep.equal({ damaged: undefined, epoch: after.epoch });
    });
});
