import { expect } from 'chai';
import { convert, pathOfName } from '../../../schemas/environment.ts';
import { defaultRuntimeFolder, runtimeFolders } from '../../../schemas/runtime-folder.ts';

describe('names and values of an environment', () => {
  for (const [name, path] of [
    ['DATABASE__URL', 'database.url'],
    ['GEMINI_API_KEY', 'geminiApiKey'],
    ['LLM__GEMINI_API_KEY', 'llm.geminiApiKey'],
    ['A__B__C', 'a.b.c'],
    ['PORT', 'port'],
    ['_PORT', 'port'],
  ]) {
    it(`${name} is ${path}`, () => expect(pathOfName(name!)?.join('.')).equal(path));
  }

  for (const name of ['', '_', '__', 'A__', '__A', 'A____B']) {
    it(`'${name}' stands for nothing`, () => expect(pathOfName(name)).equal(undefined));
  }

  it('convert exactly or not at all', () => {
    expect(convert('42', 'integer')).equal(42);
    expect(convert('-1.5e3', 'number')).equal(-1500);
    expect(convert('true', 'boolean')).equal(true);
    for (const text of ['', ' 1', '1 ', '0x10', '1,5', 'NaN', 'Infinity', '1e999', 'one'])
      expect(convert(text, 'number'), text).equal(undefined);
    expect(convert('1.5', 'integer')).equal(undefined);
    // A number that came out as another one would be a value that nobody wrote.
    for (const text of ['9007199254740993', '12345678901234567890', '-9007199254740992', '1e300'])
      for (const type of ['integer', 'number'] as const) expect(convert(text, type), text).equal(undefined);
    expect(convert('9007199254740991', 'integer')).equal(Number.MAX_SAFE_INTEGER);
    for (const text of ['TRUE', 'yes', '1', '']) expect(convert(text, 'boolean'), text).equal(undefined);
  });
});

describe('the folders of sockets', () => {
  const place = (env: Record<string, string>, uid: number | undefined = 1000) => ({ env, uid, temporary: '/tmp' });

  it("are a service's, root's, or a user's own", () => {
    const service = { RUNTIME_DIRECTORY: '/run/a:/run/b', XDG_RUNTIME_DIR: '/x' };
    expect(defaultRuntimeFolder(place(service))).equal('/run/a');
    expect(defaultRuntimeFolder(place({ XDG_RUNTIME_DIR: '/x' }))).equal('/x/hotconf');
    expect(defaultRuntimeFolder(place({}))).equal('/tmp/hotconf-1000');
    // pam_systemd gives root a folder in a login session, and the service has none of that.
    expect(defaultRuntimeFolder(place({ XDG_RUNTIME_DIR: '/run/user/0' }, 0))).equal('/run/hotconf');
  });

  it('are all looked through by who looks for a daemon: the project first, up to its package.json', () => {
    const isThere = (path: string) => path === '/home/me/app/package.json';
    expect(runtimeFolders(place({ XDG_RUNTIME_DIR: '/x' }), '/home/me/app/src/deep', isThere)).deep.equal([
      '/home/me/app/src/deep/.hotconf',
      '/home/me/app/src/.hotconf',
      '/home/me/app/.hotconf',
      '/x/hotconf',
      '/tmp/hotconf-1000',
      '/run/hotconf',
    ]);
    expect(runtimeFolders(place({ RUNTIME_DIRECTORY: '/run/mine' }, 0), '/srv', isThere)).deep.equal([
      '/srv/.hotconf',
      '/run/mine',
      '/tmp/hotconf-0',
      '/run/hotconf',
    ]);
  });
});
