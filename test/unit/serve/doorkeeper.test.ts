import { expect } from 'chai';
import { viewOptions } from '../../../daemon/ops/view-options.ts';
import { Doorkeeper, type DoorRules } from '../../../daemon/serve/doorkeeper.ts';
import type { Peer } from '../../../daemon/serve/peer.ts';
import { limits } from '../../support/limits.ts';

describe('who may connect', () => {
  const peer = (uid: number, gid = uid, groups: number[] = []): Peer => ({ uid, gid, pid: 1, groups });
  const told: (string | undefined)[] = [];
  const open = (views: object, more: Partial<DoorRules> = {}, descriptors = Number.POSITIVE_INFINITY) => {
    told.splice(0);
    const rules = { file: 'f', views: viewOptions(views, 'f'), limits, peerAuth: 'preferred', ...more } as const;
    return new Doorkeeper(rules, descriptors, (problem) => told.push(problem));
  };
  const views = { web: { allow: { users: [1_001], groups: [2_000] } }, open: {} };
  const own = process.getuid!();

  it('is whom a view allows, by user, group or supplementary group, and root and the daemon’s own user', () => {
    const doors = open(views);
    for (const who of [peer(1_001), peer(5, 2_000), peer(5, 6, [7, 2_000]), peer(0), peer(own)])
      expect(doors.refusal('web', who), JSON.stringify(who)).equal(undefined);
    expect(doors.refusal('web', peer(1_002))).include({ code: 'not_allowed', isFatal: true });
    expect(doors.refusal('web', undefined)).include({ code: 'not_allowed' });
    expect(doors.refusal('open', peer(1_002))).equal(undefined);
    expect(doors.refusal('open', undefined)).equal(undefined);
  });

  it('knows accounts by name, and refuses options with ones that are not there', () => {
    expect(open({ web: { allow: { users: ['root'], groups: ['daemon'] } } }).refusal('web', peer(5, 1))).equal(
      undefined,
    );
    for (const allow of [{ users: ['nobody-of-that-name'] }, { groups: ['no-such-group'] }])
      expect(() => open({ web: { allow } }))
        .throw(/there is no (user|group) 'no/)
        .include({ code: 'options_unusable' });
  });

  it('must be known where that is required, and cannot be where nobody is asked', () => {
    expect(open({ open: {} }, { peerAuth: 'required' }).refusal('open', undefined)).include({ code: 'not_allowed' });
    expect(() => open(views, { peerAuth: 'off' })).throw(/needs to know who connects, and peerAuth is off/);
  });

  it('is limited in number for each user and in all, and told again when there is room', () => {
    const doors = open({ open: {} }, { limits: { ...limits, clients: 4, clientsPerUid: 2 } });
    const [a, b, c] = [peer(1), peer(2), peer(3)];
    for (const who of [a, a, b]) {
      expect(doors.refusal('open', who)).equal(undefined);
      doors.enter('open', who);
    }
    expect(doors.refusal('open', a)!.message).equal('2 programs of uid 1 are connected already (limits.clientsPerUid)');
    expect(doors.refusal('open', a)).include({ code: 'too_many_clients', isFatal: false });
    doors.leave('open', b);
    expect(told.at(-1), 'the other user has no more room').not.equal(undefined);
    doors.leave('open', a);
    expect(told.at(-1)).equal(undefined);
    for (const who of [a, b, c]) doors.enter('open', who);
    expect(doors.refusal('open', peer(9))!.message).contain(
      '4 programs are connected already, in all (limits.clients)',
    );
  });

  it('keeps places for the operator, and leaves descriptors for the rest of the daemon', () => {
    const doors = open({ open: {} }, { limits: { ...limits, clients: 1_000, clientsPerUid: 1_000 } }, 16);
    expect(doors.maxClients).equal(16);
    for (let uid = 100; uid < 114; uid++) doors.enter('open', peer(uid));
    expect(doors.refusal('open', peer(9))).include({ code: 'too_many_clients' });
    expect(doors.refusal('open', peer(0))).equal(undefined);
    expect(doors.isOverrun).equal(false);
    for (let i = 0; i < 18; i++) doors.enter('open', peer(0));
    expect(doors.isOverrun).equal(true);
  });

  it('is half as many for a socket as for a user where nobody is known', () => {
    const doors = open(
      { open: {}, web: {} },
      { limits: { ...limits, clients: 100, clientsPerUid: 4 }, peerAuth: 'off' },
    );
    for (let i = 0; i < 2; i++) doors.enter('open', undefined);
    expect(doors.refusal('open', undefined)!.message).equal(
      '2 programs of view open, whose users are not known, are connected already (limits.clientsPerUid)',
    );
    expect(doors.refusal('web', undefined)).equal(undefined);
    doors.leave('open', undefined);
    expect(doors.refusal('open', undefined)).equal(undefined);
    expect(told.at(-1)).equal(undefined);
  });

  it('may ask for a reload by default only where a view has everything', () => {
    const views = viewOptions(
      { all: {}, some: { include: ['a.**'] }, less: { exclude: ['a'] }, may: { include: ['a'], mayReload: true } },
      'f',
    );
    expect(views.map(({ mayReload }) => mayReload)).deep.equal([true, false, false, true]);
  });
});
