import { expect } from 'chai';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import { decodeText } from '../../../daemon/sources/decode-text.ts';
import { settingsOfEnv } from '../../../daemon/sources/parse-env.ts';
import { parseEnvText as parseEnv } from '../../../daemon/sources/parse-env-text.ts';
import { parseText } from '../../../daemon/sources/parse-text.ts';
import { parseBytes } from '../../../daemon/sources/parser.ts';
import { settings } from '../../support/arbitrary.ts';
import { canary } from '../../support/canary.ts';

const rules = { subject: 'f.yaml', depth: 64, keys: 20_000, values: 100_000 };
const parseEnvText = (text: string, subject: string) => parseEnv(text, { ...rules, subject });
const bytes = (text: string, format: 'yaml' | 'json' | 'env' | 'text', at: string[] = []) =>
  parseBytes(Buffer.from(text), { format, at, naming: {}, rules });

describe('parsing YAML and JSON', () => {
  it('reads what was written, for any settings', () => {
    fc.assert(
      fc.property(settings, (tree) => {
        fc.pre(Object.keys(tree).length > 0);
        expect(parseText(JSON.stringify(tree), 'json', rules)).deep.equal(tree);
      }),
    );
  });

  it('agrees about YAML with the library that writes it', () => {
    fc.assert(
      fc.property(settings, (tree) => {
        fc.pre(!JSON.stringify(tree).includes('<<'));
        expect(parseText(stringify(tree, { aliasDuplicateObjects: false }), 'yaml', rules) ?? {}).deep.equal(tree);
      }),
    );
  });

  const secret = canary();
  const bad: readonly (readonly [format: 'yaml' | 'json', what: string, text: string, message: string])[] = [
    ['yaml', 'a missing quote', `a: "${secret}`, 'f.yaml:1:'],
    ['yaml', 'a tab', `a:\n\tb: ${secret}`, 'f.yaml:2:1: a tab is used for indentation; YAML wants spaces'],
    [
      'yaml',
      'a duplicate key',
      `a: 1\nb: ${secret}\na: 2\n`,
      'f.yaml:3: a: this key is given twice in one mapping (keep one of them)',
    ],
    ['yaml', 'a nested duplicate key', `x:\n  - { a: 1, a: ${secret} }\n`, 'f.yaml:2: a: this key is given twice'],
    [
      'yaml',
      'an unknown alias',
      `a: *${secret.slice(0, 6)}\n`,
      'f.yaml:1:4: an alias names an anchor that is not there',
    ],
    ['yaml', 'another version of YAML', `%YAML 1.1\n---\na: ${secret}\n`, 'f.yaml:1: asks for another YAML than 1.2'],
    ...['!!timestamp 2024-01-01', '!!set { admin, ops }', '!!omap [x: 1]', '!!binary aGk=', '!mine x'].map(
      (value) =>
        ['yaml', `the tag of ${value}`, `a: ${value}\nb: ${secret}\n`, 'f.yaml:1:4: a tag is not known'] as const,
    ),
    ['yaml', 'a merge of no mapping', `<<: 1\na: ${secret}\n`, 'f.yaml: what is merged by << is no mapping'],
    ['yaml', 'an alias inside of itself', `a: &a\n  b: *a\n  c: ${secret}\n`, 'f.yaml:2:6: an alias stands inside'],
    [
      'yaml',
      'aliases that stand for too much',
      `a: &a [${'1, '.repeat(30_000)}1]\nb: [*a, *a, *a, *a]\nc: ${secret}\n`,
      'f.yaml: has more values than limits.values of 100000',
    ],
    ['json', 'a long list', `{"a": [${'1,'.repeat(100_000)}1], "b": "${secret}"}`, 'limits.values of 100000'],
    ['json', 'no JSON', `{"a": "${secret}",}`, 'f.yaml'],
    ['json', 'a duplicate key', `{"a": 1, "b": {"c": 1, "c": "${secret}"}}`, 'f.yaml:1: c: this key is given twice'],
    ['json', 'a forbidden key', `{"__proto__": {"x": "${secret}"}}`, 'f.yaml: __proto__: keys named __proto__'],
    ['json', 'a text at the top', `"${secret}"`, 'is not a mapping of keys to values'],
  ];
  for (const [format, what, text, message] of bad) {
    it(`refuses ${format} with ${what}, says where, and never what`, () => {
      expect(() => parseText(text, format, rules))
        .throw()
        .with.property('message')
        .contain(message)
        .not.contain(secret);
    });
  }

  it('refuses few long keys above many settings, whose paths together take gigabytes', () => {
    const text = (key: number, leaves: number) =>
      JSON.stringify({
        ['k'.repeat(key)]: Object.fromEntries(Array.from({ length: leaves }, (_, i) => [`k${i}`, 'v'])),
      });
    expect(() => parseText(text(50_000, 15_000), 'json', rules))
      .throw('the paths of its settings have more than 33554432 characters in all')
      .property('code')
      .equal('source_too_large');
    expect(parseText(text(1_000, 19_000), 'json', rules)).property('k'.repeat(1_000));
  });

  it('knows nothing from nothing', () => {
    for (const text of ['', '# only a comment\n', '---\n', 'null\n'])
      expect(parseText(text, 'yaml', rules), text).equal(undefined);
    expect(parseText('{}', 'yaml', rules)).deep.equal({});
  });
});

describe('parsing files', () => {
  it('mounts a tree at its path, and a text without its last line break', async () => {
    expect(await bytes('a: 1\n', 'yaml', ['x', 'y'])).deep.equal({ x: { y: { a: 1 } } });
    expect(await bytes(' secret \n\n', 'text', ['llm', 'key'])).deep.equal({ llm: { key: ' secret \n' } });
    expect(await bytes('secret\r\n', 'text', ['k'])).deep.equal({ k: 'secret' });
  });

  it('parses a large file in a worker, with the same result and the same errors', async () => {
    const tree = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key${i}`, `value ${i}`]));
    expect(await bytes(stringify(tree), 'yaml')).deep.equal(tree);
    const error = await bytes(`${stringify(tree)}key1: again\n`, 'yaml').catch((reason) => reason);
    expect(error).include({
      code: 'source_duplicate_key',
      message: 'f.yaml:5001: key1: this key is given twice in one mapping (keep one of them)',
    });
  });

  it('refuses to mount anything below a forbidden key', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      const error = await bytes('secret', 'text', ['secrets', key]).catch((reason) => reason);
      expect(error, key).include({ code: 'source_forbidden_key' });
      expect(error.message).contain(`f.yaml: secrets.${key}: keys named`);
    }
  });

  it('refuses what SOPS has encrypted, in every format', async () => {
    const cipher = 'ENC[AES256_GCM,data:Zm9v,iv:YQ==,tag:Yg==,type:str]';
    for (const [text, format] of [
      [`a: ${cipher}\n`, 'yaml'],
      ['a: 1\nsops: { mac: x, lastmodified: "2026-01-01" }\n', 'yaml'],
      [`{"a": {"b": ["${cipher}"]}}`, 'json'],
      [`A=${cipher}\n`, 'env'],
      ['A=1\nsops_mac=x\n', 'env'],
      [cipher, 'text'],
    ] as const) {
      const at = format === 'text' ? ['k'] : [];
      const error = await bytes(text, format, at).catch((reason) => reason);
      expect(error, text).include({ code: 'source_encrypted' });
      expect(error.message).contain('is encrypted by SOPS').not.contain('Zm9v');
    }
    expect(await bytes('sops: { team: x }\n', 'yaml')).deep.equal({ sops: { team: 'x' } });
  });

  it('freezes what it gives', async () => {
    expect(Object.isFrozen(((await bytes('a: { b: [1] }', 'yaml')) as { a: { b: unknown } }).a.b)).equal(true);
  });

  it('tells nothing from empty', async () => {
    expect(await bytes('# a comment\n', 'yaml')).equal('nothing');
    expect(await bytes('# a comment\n', 'env')).equal('nothing');
    expect(await bytes(' \n', 'yaml').catch((error) => error.code)).equal('source_empty');
  });

  it('decodes UTF-8 with or without its mark', () => {
    expect(decodeText(Buffer.from('\ufeffü'), 'f')).equal('ü');
    expect(decodeText(Buffer.from('ü'), 'f')).equal('ü');
  });
});

describe('parsing .env files', () => {
  it('reads quotes, comments, export, CRLF and values over several lines', () => {
    const text = [
      '# comment',
      'A=1',
      'export B = two words ',
      "C='single # quoted'",
      'D="line\\nbreak"',
      'E="over',
      'two lines"',
      'F=',
      'G=x # comment',
      'H=a=b',
    ].join('\r\n');
    expect(parseEnvText(text, 'f')).deep.equal({
      A: '1',
      B: 'two words',
      C: 'single # quoted',
      D: 'line\nbreak',
      E: 'over\ntwo lines',
      F: '',
      G: 'x',
      H: 'a=b',
    });
  });

  it('refuses a line that is none and a name given twice, with the line and without its content', () => {
    expect(() => parseEnvText('A=1\nnonsense here\n', 'f'))
      .throw('f:2: is not NAME=value')
      .with.property('message')
      .not.contain('nonsense');
    expect(() => parseEnvText('A="open\nB=2\n', 'f')).throw('f:1: opens a quote that is never closed');
    expect(() => parseEnvText('A=1\nA=2\n', 'f')).throw('f:2: A is given twice');
  });

  it('serves what it has checked: nothing moves over a line, is cut off or goes away', () => {
    const texts: readonly [string, Record<string, string>][] = [
      ['A=\nB=hunter22', { A: '', B: 'hunter22' }],
      ['A=  \nB=hunter22', { A: '', B: 'hunter22' }],
      ['export\tB=x', { B: 'x' }],
      ['A="say \\"hi\\" now"', { A: 'say "hi" now' }],
      ['A="{\\"k\\":1}"', { A: '{"k":1}' }],
      ['A="back\\\\slash \\d"', { A: 'back\\slash \\d' }],
      ['A=1\rB=2', { A: '1', B: '2' }],
      ['A="a # b" # c', { A: 'a # b' }],
      ["A=it's", { A: "it's" }],
      ['A=`x\ny`', { A: 'x\ny' }],
      ['A=#x\nB=a#b', { A: '', B: 'a#b' }],
      ['export=1', { export: '1' }],
      ['A=x', { A: 'x' }],
    ];
    for (const [text, variables] of texts) expect(parseEnvText(text, 'f'), text).deep.equal(variables);
    expect(() => parseEnvText('A="x" y', 'f')).throw('f:1: has something behind the closing quote');
  });

  it('looks at each character of a quoted value once', () => {
    // Looking again from each escape would take minutes, and end by mocha's timeout.
    const text = `A="${'\\n'.repeat(3_000_000)}`;
    expect(() => parseEnvText(text, 'f')).throw('never closed');
    expect(parseEnvText(`${text}"`, 'f').A).length(3_000_000);
  });

  it('names paths by prefix and map, converts by the schema, and refuses conflicts', () => {
    const schema = new AppSchema({
      properties: { port: { type: 'integer' }, on: { type: 'boolean' }, text: { type: 'string' } },
    });
    const naming = { prefix: 'APP_', map: { PGURL: ['database', 'url'] }, schema };
    expect(
      settingsOfEnv({ APP_PORT: '80', APP_ON: 'false', APP_TEXT: '007', PGURL: 'p', OTHER: 'x' }, naming, 'f'),
    ).deep.equal({ port: 80, on: false, text: '007', database: { url: 'p' } });
    expect(() => settingsOfEnv({ APP_PORT: 'eighty' }, naming, 'f'))
      .throw('APP_PORT is not a integer')
      .with.property('message')
      .not.contain('eighty');
    expect(() => settingsOfEnv({ APP_A: '1', APP_A__B: '2' }, naming, 'f')).throw(
      'another variable stands for this path',
    );
    expect(() => settingsOfEnv({ APP_A__B: '1', APP_A: '2' }, naming, 'f')).throw(
      'another variable stands for this path',
    );
    expect(() => settingsOfEnv({ APP_CONSTRUCTOR: '1' }, naming, 'f')).throw('forbidden key');
  });

  it('refuses names that nest deeper, or stand for more values, than the limits', async () => {
    const schema = new AppSchema({ additionalProperties: { type: 'integer' } });
    const of = (text: string, more = {}) =>
      parseBytes(Buffer.from(text), { format: 'env', at: [], naming: { schema }, rules: { ...rules, ...more } });
    expect(await of(`${'A__'.repeat(63)}B=1\n`)).nested.property(`${'a.'.repeat(63)}b`);
    // Longer ones took gigabytes, or ran out of stack.
    for (const depth of [65, 2_000, 20_000])
      expect((await of(`${'A__'.repeat(depth - 1)}B=1\n`).catch((error) => error)).message).match(
        /^f\.yaml: a\.a\.a\.a: is nested deeper than limits\.depth of 64/,
      );
    expect((await of('A__B=1\nC__D=1\n', { values: 4 }).catch((error) => error)).code).equal('source_too_many_values');
    expect(() => settingsOfEnv({ A__B__C: 'x' }, {}, 'f', 2)).throw('limits.depth of 2');
  });

  it('tries each type that the schema allows, and keeps a text that it lists', () => {
    const schema = new AppSchema({
      properties: { size: { enum: ['auto', 1] }, flag: { type: ['boolean', 'integer'] } },
    });
    const of = (name: string, text: string) => settingsOfEnv({ [name]: text }, { schema }, 'f');
    expect(of('SIZE', 'auto')).deep.equal({ size: 'auto' });
    expect(of('SIZE', '1')).deep.equal({ size: 1 });
    expect(of('FLAG', 'true')).deep.equal({ flag: true });
    expect(of('FLAG', '7')).deep.equal({ flag: 7 });
    expect(() => of('FLAG', 'hunter22'))
      .throw('FLAG is not a integer or boolean')
      .with.property('message')
      .not.contain('hunter22');
  });
});
