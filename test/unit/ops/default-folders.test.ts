import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { defaultStateFolder } from '../../../daemon/ops/default-folders.ts';

describe('the default state folder', () => {
  const { getuid } = process;
  afterEach(() => {
    process.getuid = getuid!;
  });
  const as = (uid: number, env: Record<string, string>) => {
    process.getuid = () => uid;
    return defaultStateFolder(env);
  };

  it("is the service's, whoever it runs as", () => {
    expect(as(0, { STATE_DIRECTORY: '/var/lib/a:/var/lib/b' })).equal('/var/lib/a');
    expect(as(12345, { STATE_DIRECTORY: '/var/lib/a', XDG_STATE_HOME: '/x' })).equal('/var/lib/a');
  });

  it('is /var/lib/hotconf for root, also in a login session', () => {
    expect(as(0, { XDG_STATE_HOME: '/x', HOME: '/root' })).equal('/var/lib/hotconf');
  });

  it('is in the home folder of a user', () => {
    expect(as(12345, { XDG_STATE_HOME: '/x', HOME: '/home/me' })).equal('/x/hotconf');
    expect(as(12345, { HOME: '/home/me' })).equal('/home/me/.local/state/hotconf');
    expect(as(12345, {})).equal(join(homedir(), '.local/state/hotconf'));
  });
});
