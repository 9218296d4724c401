import { stringify } from 'yaml';
import type { Face } from '../face.ts';
import { must, planted } from '../face.ts';
import { expectSettings, isEqual, parsed, trees } from './documents.ts';

const documents = [
  `# c\ndatabase: { url: 'postgres://a:${planted}@db/x', poolSize: 5 }\nfeatures:\n  beta: false\n  list: [1, 2.5, -3e4, null, ~]\n`,
  `base: &base { password: "${planted}", n: 1 }\none:\n  <<: *base\n  n: 2\ntwo:\n  <<: [*base, { m: 3 }]\nthree: *base\n`,
  `text: |\n  line one\n   ${planted}\nfolded: >-\n  a\n  b\n\n  c\n"quoted \\u00e9": 'it''s'\n? long\n: value\n`,
  `%YAML 1.2\n---\na: !!str 1\nb: !!int "2"\nc: [ { d: e }, f ]\n...\n`,
  'sops: { mac: x, lastmodified: y }\n',
  'a:\n- b\n- - c\n  - d\n- {}\n- []\n',
  'a: .inf\nb: 0o17\nc: 0x1F\nd: 2024-01-01\ne: yes\nf: 1_000\n',
  'a: &x [1, 2, 3]\nb: &y [*x, *x]\nc: [*y, *y]\n',
];

/** YAML documents of a source. */
export function yamlFace(): Face {
  return {
    corpus: [...documents, ...trees.map((tree) => stringify(tree))].map((text) => Buffer.from(text)),
    words: [
      ...[
        'a: 1\n',
        '- ',
        '? ',
        ': ',
        '&a ',
        '*a',
        '<<: *a\n',
        '!!str ',
        '!!binary ',
        '!!set ',
        '!<x> ',
        '---\n',
        '...\n',
      ],
      ...[
        '%YAML 1.1\n',
        '%TAG ! x\n',
        '|\n ',
        '>-\n ',
        '|2\n',
        '# c\n',
        '\n  ',
        '\n\t',
        '.nan',
        '0x',
        '__proto__: 1\n',
      ],
      ...[
        '[*a, *a]',
        '{a, b}',
        '{? a}',
        'ENC[AES256_GCM,',
        'sops:\n  mac: x\n',
        '"\\x00"',
        '"\\ud800"',
        "''",
        '~: ',
        '<<: ',
      ],
    ],
    modules: /^daemon\/(sources\/parse-|sources\/decode-text|ops\/yaml-problems)/,
    hasFeedback: true,
    async try(input) {
      const value = await parsed(input, 'yaml');
      if (value === undefined) return;
      expectSettings(value);
      must(isEqual(await parsed(input, 'yaml'), value), 'the same document is read differently');
      if (value === 'nothing') return;
      // Keys of more than 1024 characters can only be written with `?`, which JSON does not do.
      if (/"[^"]{1000,}/.test(JSON.stringify(value))) return;
      must(
        isEqual(await parsed(Buffer.from(JSON.stringify(value)), 'json'), value),
        'settings as JSON are read differently',
      );
    },
  };
}
