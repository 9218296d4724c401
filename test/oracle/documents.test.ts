import { expect } from 'chai';
import dotenv from 'dotenv';
import fc from 'fast-check';
import { CORE_SCHEMA, dump, load, mergeTag } from 'js-yaml';
import { parseEnvText } from '../../daemon/sources/parse-env-text.ts';
import { parseText } from '../../daemon/sources/parse-text.ts';
import { isObject } from '../../schemas/json.ts';
import { settings } from '../support/arbitrary.ts';
import { check, guide, howToRepeat, outcome, shown, timeoutMs } from '../support/oracle.ts';
import { readJson } from '../support/read-json.ts';

const rules = { subject: 'f', depth: 64, keys: 20_000, values: 100_000 };
const yaml = (text: string) => outcome(() => parseText(text, 'yaml', rules) ?? {});
const json = (text: string) => outcome(() => parseText(text, 'json', rules) ?? {});
const env = (text: string) => outcome(() => parseEnvText(text, { subject: 'f', keys: 20_000 }));
const schema = CORE_SCHEMA.withTags(mergeTag);
const jsYaml = (text: string) => outcome(() => load(text, { schema }) as unknown);
const soup = (...tokens: string[]) =>
  fc.array(fc.constantFrom(...tokens), { maxLength: 14 }).map((all) => all.join(''));

describe(`.env files are read as dotenv reads them ${howToRepeat}`, function () {
  this.timeout(timeoutMs);
  const inner = soup(
    'a',
    'B=1',
    ' ',
    '#',
    ' #',
    "'",
    '"',
    '`',
    '\\n',
    '\\',
    '\\t',
    '\\"',
    '=',
    '$X',
    'é',
    '{}',
    ':',
    '\t',
  );
  const quoted = fc
    .tuple(fc.constantFrom("'", '"', '`'), inner, fc.constantFrom('', '\n', '\r\n', '\r'))
    .map(([quote, text, end]) => quote + (text + end + text).replaceAll(quote, '') + quote);
  const statement = fc
    .tuple(
      fc.constantFrom('', ' ', '\t', 'export ', ' export\t'),
      fc.constantFrom('A', 'B', 'C.D', 'e-f', '_G1', 'export'),
      fc.constantFrom('=', ' = ', '\t=', '= '),
      fc.oneof(inner, quoted, quoted, fc.constant('')),
      fc.constantFrom('', ' ', ' # c', '#c', "# it's"),
      fc.constantFrom('\n', '\n\n', '\r\n', '\r', '\n# c\n'),
    )
    .map((parts) => parts.join(''));
  const text = fc.array(statement, { minLength: 1, maxLength: 4 }).map((all) => all.join(''));

  /** Where dotenv reads another value on purpose: see config/README.md. */
  const isIntended = (document: string) => /\\[\\"'`t]|\\$|\\\n/m.test(document) || /\S#/.test(document);

  it('gives the same variables for what it accepts, but for the differences that are listed', () => {
    let tried = 0;
    let compared = 0;
    const property = fc.property(text, (document) => {
      tried++;
      const mine = env(document);
      if (!('value' in mine) || isIntended(document)) return;
      compared++;
      expect(mine.value).deep.equal(dotenv.parse(document));
    });
    check(property, 1_500);
    expect(compared / tried, 'share that was compared').greaterThan(0.03);
  });

  it('reads back any value that another program has quoted', () => {
    const quote = (value: string) =>
      `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\r', '\\r').replaceAll('\n', '\\n')}"`;
    const value = soup('\n', '\r', '\t', '"', '\\', "'", '`', '#', ' ', 'n', 'é', '😀', '$', '\u2028', '=', '\u00a0');
    const variables = fc.dictionary(fc.constantFrom('A', 'b_1', 'C.D', 'e-f'), value, {
      maxKeys: 4,
    });
    const property = fc.property(variables, (wanted) => {
      const document = Object.entries(wanted).map(([name, value]) => `${name}=${quote(value)}\n`);
      expect(parseEnvText(document.join(''), { subject: 'f', keys: 20_000 })).deep.equal({ ...wanted });
    });
    check(property, 300);
  });

  const differences: readonly [text: string, ours: Record<string, string> | string, theirs: Record<string, string>][] =
    [
      ['A="say \\"hi\\""', { A: 'say "hi"' }, { A: 'say \\"hi\\"' }],
      ['A="a\\\\nb"', { A: 'a\\nb' }, { A: 'a\\\nb' }],
      ['A="a\\tb"', { A: 'a\tb' }, { A: 'a\\tb' }],
      ["A='a\\'b'", 'source_malformed', { A: "a\\'b" }],
      ['A=a#b', { A: 'a#b' }, { A: 'a' }],
      ['A=1\nA=2', 'source_duplicate_key', { A: '2' }],
      ['A="open', 'source_malformed', { A: '"open' }],
      ['A="x" y', 'source_malformed', { A: '"x" y' }],
      ['A: 1', 'source_malformed', { A: '1' }],
      ['nonsense', 'source_malformed', {}],
    ];
  for (const [document, ours, theirs] of differences) {
    it(`differs as listed for ${JSON.stringify(document)}`, () => {
      expect(env(document)).deep.equal(typeof ours === 'string' ? { refused: ours } : { value: ours });
      expect(dotenv.parse(document)).deep.equal(theirs);
      expect(guide).contain(shown(document));
    });
  }
});

describe(`YAML is read as js-yaml reads it ${howToRepeat}`, function () {
  this.timeout(timeoutMs);

  it('reads what js-yaml has written, in every style', () => {
    const style = fc.record({
      flowLevel: fc.constantFrom(-1, 0, 1, 2),
      indent: fc.constantFrom(2, 4),
      lineWidth: fc.constantFrom(-1, 20, 80),
      forceQuotes: fc.boolean(),
    });
    const property = fc.property(settings, style, (tree, options) => {
      fc.pre(!JSON.stringify(tree).includes('"<<"'));
      expect(yaml(dump(tree, options))).deep.equal({ value: tree });
    });
    check(property, 150);
  });

  const scalar = fc.constantFrom(
    ...['1', '-1', '+1', '0', '007', '0o17', '0x1F', '1_000', '1.5', '.5', '5.', '1e3', '.inf', '-.INF', '.nan', '-0'],
    ...['true', 'True', 'TRUE', 'yes', 'no', 'on', 'y', '~', 'null', 'NULL', '', '2024-01-01', '12:30', '=', '<<'],
    ...[
      'abc',
      'a b',
      "'it''s'",
      '"a\\tb\\u00e9"',
      '"x\\\n  y"',
      "'a: b'",
      'a#b',
      'a #c',
      '|\n  x\n   y\n',
      '>-\n  x\n  y\n\n  z\n',
    ],
    ...[
      '!!str 1',
      '!!int 1',
      '!!float 1',
      '!mine x',
      '!!set {a}',
      '!!timestamp 2024-01-01',
      '&x 1',
      '*x',
      '&y {a: 1}',
      '*y',
    ],
    ...[
      '[]',
      '{}',
      '[1, a, [b]]',
      '{a: 1, b: {c: 2}}',
      '[a: 1]',
      '{a, b}',
      '[1',
      '9007199254740993',
      '-',
      '- x',
      '? x',
    ],
  );
  const line = fc
    .tuple(
      fc.constantFrom('', '', '', '  ', '  ', '    ', '- ', '  - ', '\t'),
      fc.constantFrom('a', 'b', 'c', '"q"', "'s'", '1', 'true', '<<', '? k', '__proto__'),
      fc.constantFrom(': ', ': ', ': ', ':', ' : ', ''),
      scalar,
      fc.constantFrom('', '', '', ' # c', ' ', '\t'),
    )
    .map((parts) => parts.join(''));
  const document = fc
    .tuple(
      fc.constantFrom('', '', '', '---\n', '# c\n', '%YAML 1.2\n---\n'),
      fc.array(line, { minLength: 1, maxLength: 5 }),
    )
    .map(([head, lines]) => `${head}${lines.join('\n')}\n`);

  it('gives the same settings for what it accepts, but for the differences that are listed', () => {
    let tried = 0;
    let compared = 0;
    const property = fc.property(document, (text) => {
      tried++;
      const mine = yaml(text);
      if (!('value' in mine)) return;
      compared++;
      const theirs = jsYaml(text);
      expect('value' in theirs ? (theirs.value ?? {}) : theirs, JSON.stringify(text)).deep.equal(mine.value);
    });
    check(property, 1_500);
    expect(compared / tried, 'share that was compared').greaterThan(0.03);
  });

  it('refuses nothing that js-yaml reads as a mapping, but for what is listed', () => {
    const isListed = (text: string) =>
      /\.(inf|nan)/i.test(text) || /9007199254740993|__proto__|!!float 1|^ *\t/m.test(text);
    const property = fc.property(document, (text) => {
      const theirs = jsYaml(text);
      if (!('value' in theirs) || !isObject(theirs.value) || isListed(text)) return;
      expect(yaml(text), JSON.stringify(text)).have.property('value');
    });
    check(property, 1_500);
  });

  const differences: readonly [text: string, ours: unknown, theirs: unknown][] = [
    ['a: .inf', 'source_malformed', { a: Number.POSITIVE_INFINITY }],
    ['a: 9007199254740993', 'source_malformed', { a: 9007199254740992 }],
    ['a: !!float 1', 'source_malformed', { a: 1 }],
    ['- a', 'source_malformed', ['a']],
    ['a: |\n  x\n\t\nb: 1', 'source_malformed', { a: 'x\n', b: 1 }],
    ['~: a', { '~': 'a' }, { null: 'a' }],
    ['constructor: 1', 'source_forbidden_key', { constructor: 1 }],
    ['? a\n- hunter22', 'source_malformed', 'YAMLException'],
  ];
  for (const [text, ours, theirs] of differences) {
    it(`differs as listed for ${JSON.stringify(text)}`, () => {
      expect(yaml(text)).deep.equal(typeof ours === 'string' ? { refused: ours } : { value: ours });
      expect(jsYaml(text)).deep.equal(typeof theirs === 'string' ? { refused: theirs } : { value: theirs });
      expect(guide).contain(shown(text));
    });
  }
});

describe(`JSON is read as RFC 8259 has it ${howToRepeat}`, function () {
  this.timeout(timeoutMs);

  it('accepts the same texts with the same values, and refuses the others', () => {
    const tokens = soup(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b":',
      '"a":1',
      '1',
      '-0',
      '1e5',
      '01',
      '.5',
      'null',
      'true',
      ' ',
      '\n',
      '"\\u0041"',
      '"\\x"',
      '"\t"',
      '/**/',
      'NaN',
    );
    const spoilt = fc
      .tuple(settings, fc.nat(), soup('"', ',', '{', '}', '1', '\\', '"a":1,'))
      .map(([tree, at, extra]) => {
        const text = JSON.stringify(tree);
        const place = at % (text.length + 1);
        return text.slice(0, place) + extra + text.slice(place);
      });
    const property = fc.property(
      fc.oneof(
        tokens.map((inner) => `{${inner}}`),
        spoilt,
      ),
      (text) => {
        const theirs = outcome(() => readJson(text));
        const mine = json(text);
        if ('value' in mine || 'value' in theirs) expect(mine, JSON.stringify(text)).deep.equal(theirs);
      },
    );
    check(property, 2_000);
  });
});
