import { expect } from 'chai';
import { TerminalMonitor } from '../../../daemon/commands/terminal.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the terminal that a daemon was started on', () => {
  let clock: FakeClock;
  let isUsable: boolean;
  let hangUps: number;
  const monitor = () =>
    new TerminalMonitor(
      clock,
      () => void hangUps++,
      () => isUsable,
    );
  beforeEach(() => {
    clock = new FakeClock();
    isUsable = true;
    hangUps = 0;
  });

  it('has hung up when it is lost up to ten seconds after a SIGHUP, which reloads first', async () => {
    const terminal = monitor();
    expect(terminal.signalled()).equal(false);
    await clock.advance(8_000);
    isUsable = false;
    await clock.advance(1_000);
    expect(hangUps).greaterThan(0);
  });

  it('has hung up when a SIGHUP comes with its loss or soon after it', async () => {
    const terminal = monitor();
    await clock.advance(60_000);
    isUsable = false;
    await clock.advance(3_000);
    expect(hangUps).equal(0);
    expect(terminal.signalled()).equal(true);
    expect(hangUps).equal(1);
  });

  it('was given up before, as after `disown`: a SIGHUP long after its loss reloads', async () => {
    const terminal = monitor();
    isUsable = false;
    await clock.advance(20_000);
    expect(terminal.signalled()).equal(false);
    await clock.advance(60_000);
    expect(hangUps).equal(0);
  });

  it('is lost without a hang-up long after a SIGHUP that reloaded', async () => {
    const terminal = monitor();
    terminal.signalled();
    await clock.advance(20_000);
    isUsable = false;
    await clock.advance(60_000);
    expect(hangUps).equal(0);
  });

  it('was never there, as under systemd: every SIGHUP reloads, and no timer runs', async () => {
    isUsable = false;
    const terminal = monitor();
    expect(terminal.signalled()).equal(false);
    expect(clock.waiting).equal(0);
    expect(hangUps).equal(0);
  });
});
