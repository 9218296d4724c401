import { outcome } from '../../support/oracle.ts';
import { readJson } from '../../support/read-json.ts';
import { type Face, must, planted } from '../face.ts';
import { expectSettings, isEqual, parsed, trees } from './documents.ts';

const documents = [
  `{"database":{"url":"postgres://a:${planted}@db/x","poolSize":5},"list":[1,2.5,-3e4,null,true],"a\\u00e9\\n":{}}`,
  `{"password":"${planted}","deep":{"a":{"b":{"c":[[[{"d":1}]]]}}}}`,
  '{"sops":{"mac":"x"},"a":"ENC[AES256_GCM,data:x]"}',
  '{"":0,"a":"\\"{[:","b":["}"]}',
  ' \n{ "a" : 1 ,\r\n\t"b" : -0.0 }\n',
];

/** JSON documents of a source. */
export function jsonFace(): Face {
  return {
    corpus: [...documents, ...trees.map((tree) => JSON.stringify(tree))].map((text) => Buffer.from(text)),
    words: [
      ...[
        '"a":1,',
        '"a":',
        '{"a":',
        '[[',
        ']]',
        '{}',
        '[]',
        '""',
        '"__proto__":{},',
        '\\"',
        '"\\"":',
        '"a\\":1,',
        '//',
        '/**/',
      ],
      ...['"constructor":1,', '"\\u005f_proto__":1,', ',', '":', '1E5', '-', '.5', '01', '"\\x"', '"ENC[AES256_GCM,"'],
    ],
    modules: /^daemon\/(sources\/parse-|sources\/decode-text)/,
    hasFeedback: true,
    async try(input) {
      const value = await parsed(input, 'json');
      if (value === undefined) return;
      expectSettings(value);
      must(value !== 'nothing', 'there is nothing in a document that is not empty');
      const text = new TextDecoder().decode(input);
      must(
        isEqual(await parsed(Buffer.from(JSON.stringify(value)), 'json'), value),
        'settings as JSON are read differently',
      );
      const other = outcome(() => readJson(text));
      if ('refused' in other && other.refused === 'RangeError') return;
      must('value' in other && isEqual(other.value, value), 'another reader of JSON reads it differently');
    },
  };
}
