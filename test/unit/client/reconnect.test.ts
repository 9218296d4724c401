import { expect } from 'chai';
import { Reconnect } from '../../../client/reconnect.ts';
import { quietFor, until } from '../../support/until.ts';

describe('coming back', () => {
  let opened: number;
  let place: string;
  let reconnect: Reconnect;
  beforeEach(() => {
    opened = 0;
    place = 'old';
    reconnect = new Reconnect({ open: () => void opened++, landmark: () => place });
  });
  afterEach(() => reconnect.stop());

  it('is tried soon the first time', async () => {
    reconnect.lost(0);
    await until('it is tried', () => opened === 1, 1_000);
  });

  it('waits as long as it was told, but not when another daemon has taken the place', async () => {
    reconnect.lost(60_000);
    await quietFor(300);
    place = '';
    await quietFor(300);
    expect(opened).equal(0);
    place = 'new';
    await until('it is tried', () => opened === 1, 2_000);
    await quietFor(600);
    expect(opened, 'once').equal(1);
  });

  it('is not tried any more when it is stopped', async () => {
    reconnect.lost(0);
    reconnect.stop();
    place = 'new';
    await quietFor(400);
    expect(opened).equal(0);
  });
});
