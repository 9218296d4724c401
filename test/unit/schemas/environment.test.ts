import { expect } from 'chai';
import { convert, pathOfName } from '../../../schemas/environment.ts';
import { defaultRuntimeFolder } from '../../../schemas/runtime-folder.ts';

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
    for (const text of ['TRUE', 'yes', '1', '']) expect(convert(text, 'boolean'), text).equal(undefined);
  });
});

describe('the default runtime folder', () => {
  it('is the first of $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/hotconf and /run/hotconf', () => {
    expect(defaultRuntimeFolder({ RUNTIME_DIRECTORY: '/run/a:/run/b', XDG_RUNTIME_DIR: '/x' })).equal('/run/a');
    expect(defaultRuntimeFolder({ XDG_RUNTIME_DIR: '/x' })).equal('/x/hotconf');
    expect(defaultRuntimeFolder({})).equal('/run/hotconf');
  });
});
