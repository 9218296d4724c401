import { expect } from 'chai';
import fc from 'fast-check';
import { Receiver } from '../../../client/receiver.ts';
import type { Snapshot } from '../../../daemon/model/snapshot.ts';
import { ViewFilter } from '../../../daemon/model/view-filter.ts';
import { Allowances } from '../../../daemon/serve/allowance.ts';
import { createFrameCheck } from '../../../daemon/serve/check-frame.ts';
import { Session } from '../../../daemon/serve/session.ts';
import type { SessionEvent } from '../../../daemon/serve/session-event.ts';
import { View } from '../../../daemon/serve/view.ts';
import { Digester } from '../../../schemas/digest.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { decodeFrame, type PatchFrame, type Position, type SnapshotFrame } from '../../../schemas/wire.ts';
import { settings } from '../../support/arbitrary.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { limits } from '../../support/limits.ts';

const all = new ViewFilter(['**'], []);
const digester = new Digester();
const snapshotOf = (tree: JsonObject, revision: number): Snapshot => ({
  settings: deepFreeze(tree),
  parts: [],
  epoch: 'e',
  revision,
  digest: digester.digest(tree),
  committedAt: '2026-01-01T00:00:00.000Z',
  cause: 'file',
  changed: [],
  removed: [],
});
const decoded = (frame: string | Buffer) => decodeFrame(String(frame).slice(0, -1));

describe('a view', () => {
  it('leads a program to the same settings by patches and by the whole, for any edits', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(settings, fc.boolean()), { minLength: 2, maxLength: 8 }), (edits) => {
        const view = new View('default', all);
        const receiver = new Receiver();
        for (const [i, [tree, isTaken]] of edits.entries()) {
          view.publish(snapshotOf(tree, i + 1));
          // A program that does not take a revision is patched over several at once the next time.
          if (!isTaken && i < edits.length - 1) continue;
          // What changes nothing makes no edition.
          if (view.current!.seen.revision === receiver.position?.revision) continue;
          const { type, data } = decoded(view.delivery(view.current!, receiver.position).frame);
          const received =
            type === 'patch' ? receiver.patch(data as PatchFrame) : receiver.snapshot(data as SnapshotFrame);
          if (received.kind !== 'new')
            throw new Error(`revision ${i + 1} is ${received.kind}: ${JSON.stringify(received)}`);
          expect(received.settings).deep.equal(tree);
          receiver.accept(received);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('encodes a frame once, whoever asks for it', () => {
    const view = new View('default', all);
    for (const revision of [1, 2]) view.publish(snapshotOf({ n: revision }, revision));
    const delivery = (held?: Position) => view.delivery(view.current!, held);
    const held = snapshotOf({ n: 1 }, 1);
    expect(delivery(held).frame).equal(delivery(held).frame);
    expect(delivery().frame).equal(delivery().frame);
    expect(delivery(held).isPatch).equal(true);
  });

  it('sends the whole to a program that is too far behind', () => {
    const view = new View('default', all);
    for (let revision = 1; revision <= 20; revision++) view.publish(snapshotOf({ n: revision }, revision));
    const isPatch = (n: number) => view.delivery(view.current!, snapshotOf({ n }, n)).isPatch;
    expect(isPatch(2)).equal(false);
    expect(isPatch(19)).equal(true);
  });
});

describe('a session', () => {
  let clock: FakeClock;
  let view: View;
  let sent: { type: string; data: Record<string, unknown> }[];
  let events: SessionEvent[];
  let ends: string[];
  let session: Session;
  const hello = { protocol: 1, name: 'p', pid: 1, library: 'l', capabilities: ['patch'] };
  const publish = (n: number) => {
    view.publish(snapshotOf({ n }, n));
    session.offer();
  };
  const last = () => sent.at(-1)!;

  beforeEach(() => {
    clock = new FakeClock();
    view = new View('default', all);
    view.publish(snapshotOf({ n: 1 }, 1));
    [sent, events, ends] = [[], [], []];
    const line = {
      write: (frame: string | Buffer, onTaken?: () => void) => {
        sent.push(decoded(frame) as never);
        onTaken?.();
      },
      end: () => void ends.push('end'),
      progress: () => ({ taken: 0, owed: 0 }),
      destroy: () => void ends.push('destroy'),
    };
    const answer = async () => Promise.reject(Object.assign(new Error('no'), { code: 'not_permitted' }));
    session = new Session({
      id: 's',
      view,
      line,
      clock,
      maxFrameBytes: 1,
      verifyMs: 1_000,
      state: () => ({ kind: 'ready', since: '', sources: [] }),
      mayRotate: false,
      answer,
      allowance: new Allowances(limits, clock, () => {}).of('default', undefined),
      onCaughtUp: () => {},
      onEvent: (event) => void events.push(event),
      clean: (text) => text.replaceAll('top-secret', '[redacted]'),
    });
  });

  it('has one slot, and fills it with the newest when the answer comes', () => {
    session.receive('hello', hello);
    for (const n of [2, 3, 4]) publish(n);
    expect(sent.map(({ type }) => type)).deep.equal(['welcome', 'snapshot']);
    session.receive('ack', { nonce: last().data.nonce as string, revision: 1, applyMs: 1 });
    expect(last()).nested.include({ type: 'patch', 'data.base': 1, 'data.revision': 4 });
    expect(session.held).equal(1);
  });

  it('shows a program as waiting, pending after 10 s, late after 30 s, and current', async () => {
    session.receive('hello', hello);
    const states = [session.state];
    await clock.advance(11_000);
    states.push(session.state);
    await clock.advance(20_000);
    states.push(session.state);
    session.receive('ack', { nonce: last().data.nonce as string, revision: 1, applyMs: 1 });
    expect([...states, session.state]).deep.equal(['waiting', 'pending', 'late', 'current']);
  });

  it('remembers a rejection until the next accept, and does not offer the same revision again', () => {
    session.receive('hello', hello);
    const nack = {
      nonce: last().data.nonce as string,
      revision: 1,
      code: 'verify_failed',
      paths: ['n'],
      message: 'no',
    };
    session.receive('nack', nack);
    session.offer();
    expect(sent).length(2);
    expect(session.state).equal('rejected');
    publish(2);
    expect(last().type).equal('snapshot');
  });

  it('hears nothing from an answer to something older', () => {
    session.receive('hello', hello);
    session.receive('ack', { nonce: 'another', revision: 9, applyMs: 1 });
    expect(session.held).equal(undefined);
    expect(session.isAnswering).equal(true);
  });

  it('closes after two heartbeats without a sign of life', () => {
    session.receive('hello', hello);
    session.beat();
    expect(last()).deep.equal({ type: 'ping', data: { revision: 1 } });
    session.receive('pong', { revision: 0 });
    for (let beat = 0; beat < 2; beat++) session.beat();
    expect(ends).deep.equal([]);
    session.beat();
    expect(ends).deep.equal(['destroy']);
  });

  it('answers a request that fails with its code, and refuses too many at once', async () => {
    session.receive('hello', hello);
    for (let id = 0; id < 9; id++)
      session.receive('request', { id: String(id), kind: id % 2 === 0 ? 'reload' : 'summary' });
    await settle();
    const answers = sent.filter(({ type }) => type === 'response').map(({ data }) => data);
    expect(answers.find(({ id }) => id === '8')).include({ ok: false, code: 'busy' });
    expect(answers.find(({ id }) => id === '0')).include({ ok: false, code: 'not_permitted' });
  });

  it('hears nothing after it was closed', () => {
    session.receive('ping', { revision: 0 });
    session.receive('hello', hello);
    expect(sent.map(({ type }) => type)).deep.equal(['error']);
    expect(events).deep.equal([
      { kind: 'refused', code: 'hello_expected', message: 'the first frame must be a hello' },
    ]);
  });
});

describe('frames from programs', () => {
  const check = createFrameCheck();

  it('are checked against the wire schema, which tells the place and not the value', () => {
    expect(check('hello', { protocol: 1, name: 'n', pid: 1, library: 'l', capabilities: [] })).equal(undefined);
    expect(check('hello', { protocol: 'secret' }))
      .match(/^hello/)
      .not.contain('secret');
    expect(check('ack', { nonce: 'n', revision: 1, applyMs: -1 })).equal('ack/applyMs: must be >= 0');
    expect(check('request', { id: '1', kind: 'shutdown' })).match(/^request\/kind/);
    expect(check('ack', null)).match(/^ack: must be object/);
  });
});
