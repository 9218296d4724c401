import { expect } from 'chai';
import { FileCalls } from '../../../daemon/sources/file-calls.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** A call that ends when the test says so. */
function call<T>(value: T) {
  let end = () => {};
  let isBegun = false;
  const act = () =>
    new Promise<T>((resolve) => {
      isBegun = true;
      end = () => resolve(value);
    });
  return { act, end: () => end(), isBegun: () => isBegun };
}

describe('calls of the file system', () => {
  let clock: FakeClock;
  let calls: FileCalls;
  beforeEach(() => {
    clock = new FakeClock();
    calls = new FileCalls(clock);
  });
  const codeOf = (running: Promise<unknown>) =>
    running.then(String, ({ code, facts }) => `${code} ${facts.systemCode}`);
  const hangs = 'source_unreadable ETIMEDOUT';

  it('give their result or their error, and leave no timer', async () => {
    expect(await calls.run('/r', '/r/a', async () => 1)).equal(1);
    const failing = calls.run('/r', '/r/a', () => Promise.reject(new TypeError('x')));
    expect(await failing.catch((error) => error)).instanceOf(TypeError);
    expect(clock.waiting).equal(0);
  });

  it('end for their caller after 5 s; meanwhile the same path fails at once, and other paths go on', async () => {
    const hung = call('late');
    const first = codeOf(calls.run('/r', '/r/a', hung.act));
    await clock.advance(4_999);
    const joined = codeOf(calls.run('/r', '/r/a', async () => 'second look'));
    expect(await joined).equal('second look');
    await clock.advance(1);
    expect(await first).equal(hangs);
    expect(await codeOf(calls.run('/r', '/r/a', async () => 1))).equal(hangs);
    expect(await codeOf(calls.run('/r', '/r/b', async () => 1))).equal('1');
    hung.end();
    await settle();
    expect(await codeOf(calls.run('/r', '/r/a', async () => 1))).equal('1');
  });

  it('of a root that hangs take two threads at most, and what waits for them fails with them', async () => {
    const hung = [call(0), call(1), call(2)];
    const results = hung.map(({ act }, i) => codeOf(calls.run('/dead', `/dead/${i}`, act)));
    expect(hung.map(({ isBegun }) => isBegun())).deep.equal([true, true, false]);
    expect(await calls.run('/alive', '/alive/a', async () => 'alive')).equal('alive');
    await clock.advance(5_000);
    expect(await Promise.all(results)).deep.equal([hangs, hangs, hangs]);
    expect(hung[2]!.isBegun()).equal(false);
    expect(await calls.run('/alive', '/alive/a', async () => 'alive')).equal('alive');
  });

  it('leave one thread free when several roots hang, and go on when one of them answers', async () => {
    const hung = ['/a', '/b', '/c'].map((root) => ({ root, ...call(root) }));
    const results = hung.map(({ root, act }) => codeOf(calls.run(root, root, act)));
    const waiting = codeOf(calls.run('/d', '/d', async () => 'd'));
    await clock.advance(5_000);
    expect(await Promise.all([...results, waiting])).deep.equal([hangs, hangs, hangs, hangs]);
    hung[0]!.end();
    await settle();
    expect(await calls.run('/d', '/d', async () => 'd')).equal('d');
  });
});
