import { expect } from 'chai';
import { Backoff } from '../../../client/backoff.ts';
import { overlayEnvironment } from '../../../client/env-overlay.ts';
import { Latest } from '../../../client/latest.ts';
import { Receiver } from '../../../client/receiver.ts';
import { Rejection } from '../../../client/rejection.ts';
import { Digester } from '../../../schemas/digest.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { compare } from '../../../schemas/patch.ts';

describe('waiting to reconnect', () => {
  it('starts at 50 to 100 ms, doubles with full jitter, and stays under 5 s', () => {
    const longest = new Backoff(() => 1);
    expect(Array.from({ length: 9 }, () => longest.next())).deep.equal([
      100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000,
    ]);
    longest.reset();
    expect(longest.next()).equal(100);
    const shortest = new Backoff(() => 0);
    expect([shortest.next(), shortest.next()]).deep.equal([50, 0]);
  });
});

describe('the newest value for a slow reader', () => {
  it('drops what was not taken, and ends when told', async () => {
    let ended = 0;
    const latest = new Latest<number>(() => ended++);
    latest.put(1);
    latest.put(2);
    expect(await latest.next()).deep.equal({ done: false, value: 2 });
    const waiting = latest.next();
    latest.put(3);
    expect(await waiting).deep.equal({ done: false, value: 3 });
    const last = latest.next();
    latest.end();
    latest.end();
    expect(await last).deep.equal({ done: true, value: undefined });
    expect(ended).equal(1);
  });
});

describe("laying the process's environment over settings", () => {
  const settings = deepFreeze({ port: 80, on: true, database: { url: 'u', pool: 1 } });

  it('converts to the type that is covered, and changes nothing else', () => {
    const laid = overlayEnvironment(settings, 'APP_', {
      APP_PORT: '81',
      APP_ON: 'false',
      APP_DATABASE__URL: 'v',
      APP_NEW__KEY: '1',
      OTHER: 'x',
    });
    expect(laid).deep.equal({ port: 81, on: false, database: { url: 'v', pool: 1 }, new: { key: '1' } });
    expect(overlayEnvironment(settings, 'NONE_', {})).equal(settings);
  });

  it('refuses what does not convert, and forbidden names', () => {
    expect(() => overlayEnvironment(settings, 'APP_', { APP_PORT: 'x' })).throw('APP_PORT covers port');
    expect(overlayEnvironment(settings, 'APP_', { APP___PROTO____X: '1' })).equal(settings);
  });
});

describe('what a program takes from the wire', () => {
  const digest = (tree: JsonObject) => new Digester().digest(tree);
  const frame = (settings: JsonObject, revision: number, epoch = 'e') => ({
    nonce: 'n',
    epoch,
    revision,
    digest: digest(settings),
    committedAt: '',
    cause: '',
    changed: [],
    removed: [],
    settings,
  });
  const first = { a: { x: 1 }, b: { y: [1] } };
  const second = { a: { x: 2 }, b: { y: [1] } };
  const patch = (base: number, revision: number) => ({
    ...frame(second, revision),
    base,
    operations: compare(first, second).operations,
  });
  const held = (settings: JsonObject = first, revision = 1) => {
    const receiver = new Receiver();
    const received = receiver.snapshot(frame(settings, revision));
    if (received.kind === 'new') receiver.accept(received);
    return receiver;
  };

  it('applies a patch to what it holds, and keeps what did not change', () => {
    const receiver = held();
    const received = receiver.patch(patch(1, 2));
    expect(received).deep.include({ kind: 'new', settings: second });
  });

  it('asks for the whole when the base, the operations or the digest do not fit', () => {
    expect(held().patch(patch(5, 6))).include({ kind: 'unusable', reason: 'the base is not held' });
    expect(new Receiver().patch(patch(1, 2))).include({ kind: 'unusable' });
    expect(held().patch({ ...patch(1, 2), digest: '0'.repeat(16) })).include({ reason: 'the digest differs' });
    expect(held().patch({ ...patch(1, 2), operations: [{ op: 'remove', path: '/none' }] })).include({
      reason: 'the operations do not apply',
    });
  });

  it('ignores what is not newer within an epoch, and always takes another epoch', () => {
    const receiver = held(first, 5);
    expect(receiver.snapshot(frame(second, 5)).kind).equal('old');
    expect(receiver.snapshot(frame(second, 4)).kind).equal('old');
    expect(receiver.patch(patch(4, 5)).kind).equal('old');
    expect(receiver.snapshot(frame(second, 1, 'other')).kind).equal('new');
  });

  it('keeps the objects that a whole snapshot does not change', () => {
    const receiver = held();
    const one = receiver.snapshot(frame(first, 2));
    const two = receiver.snapshot(frame(second, 3));
    if (one.kind !== 'new' || two.kind !== 'new') throw new Error('both are new');
    expect(two.settings.b).equal(one.settings.b);
    expect(two.settings.a).not.equal(one.settings.a);
  });
});

describe('a rejection', () => {
  it('carries no value of the settings', () => {
    const rejection = new Rejection('verify_failed', ['a'], new Error('cannot reach postgres://u:p@h with key-1234'), {
      a: 'postgres://u:p@h',
      b: ['key-1234'],
    });
    expect(rejection.message).equal('cannot reach [redacted] with [redacted]');
  });

  it('leaves no part of a value when another value stands inside of it or overlaps it', () => {
    const settings = { host: 'db.example', url: 'postgres://u:secret-pw@db.example/x', one: 'abcdef', two: 'defghi' };
    const message = 'no postgres://u:secret-pw@db.example/x, no abcdefghi';
    const rejection = new Rejection('verify_failed', [], new Error(message), settings);
    expect(rejection.message).equal('no [redacted], no [redacted]');
  });

  it('carries no part of a secret, however a driver or a parser quotes it', () => {
    const password = 'q7-CANARY2-zz';
    const settings = {
      user: 'billing',
      url: `postgres://billing:${password}@db.internal/bill`,
      sa: JSON.stringify({ type: 'sa', password: 'k9-CANARY3', key: 'x' }),
      account: 1234567890,
      pin: 123456,
    };
    const of = (error: unknown) => new Rejection('verify_failed', [], error, settings).message;
    const quoted = attempt(() => JSON.parse(settings.sa.replace('"k9', 'k9')));
    expect(quoted.message).contain('CANARY3');
    expect(of(new Error(`connect ECONNREFUSED for ${settings.url}`))).equal('connect ECONNREFUSED for [redacted]');
    expect(of(new Error(`no login of billing with ${password}`))).equal('no login of [redacted] with [redacted]');
    expect(of(quoted)).equal('SyntaxError');
    expect(of(attempt(() => JSON.parse('{"a": 1,}')))).equal('SyntaxError at line 1 column 9');
    expect(of(new Error(`bad account: ${quoted.message}`, { cause: quoted }))).equal('bad account: SyntaxError');
    expect(of(`bad account: ${quoted.message}`)).equal('SyntaxError');
    expect(of(new Error('no password k9-CANARY3 for account 1234567890, 123456 bytes'))).equal(
      'no password [redacted] for account [redacted], 123456 bytes',
    );
    const start = Object.assign(new Error('no user q7-CANAR'), { code: 'ECONNREFUSED' });
    expect(of(start)).equal('ECONNREFUSED: message withheld: it shares text with a secret');
    expect(of(new Error('getaddrinfo ENOTFOUND db.internal'))).equal('getaddrinfo ENOTFOUND db.internal');
  });

  it('carries no value of the settings that it would replace either', () => {
    const rejection = new Rejection(
      'verify_failed',
      [],
      new Error('old-secret, not new-secret'),
      ['new-secret'],
      ['old-secret'],
    );
    expect(rejection.message).equal('[redacted], not [redacted]');
  });
});

function attempt(task: () => unknown): Error {
  try {
    task();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}
