import dotenv from 'dotenv';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import { DaemonError } from '../../../daemon/model/errors.ts';
import { parseEnvText } from '../../../daemon/sources/parse-env-text.ts';
import { appSchema } from '../../support/use-daemon.ts';
import { type Face, must, planted } from '../face.ts';
import { expectKnown, expectSettings, isEqual, parsed } from './documents.ts';

const documents = [
  `# c\nAPP_DATABASE__URL=postgres://a:${planted}@db/x\nexport APP_DATABASE__POOL_SIZE=5\nAPP_FEATURES__BETA = true # on\n`,
  `A="say \\"hi\\"\\n${planted}"\nB='it is\nmore'\nC=\`x\`\nD=\nE=a#b\n`,
  'APP_LLM__KEY=x\r\nAPP_LLM=y\r\nOTHER=1\r\n',
  'MAPPED=1\nAPP_EXTRA__A__B__C=2\nAPP_EXTRA__A_B_C=3\n',
];

/** `.env` files, with what becomes of them by prefix, map and schema. */
export function envFace(): Face {
  const schema = new AppSchema(appSchema as never);
  const naming = { prefix: 'APP_', map: { MAPPED: ['extra', 'mapped'] }, schema };
  return {
    corpus: documents.map((text) => Buffer.from(text)),
    words: [
      ...[
        'APP_',
        '__',
        '_',
        'A=1\n',
        'export ',
        'export=',
        '="',
        "='",
        '=`',
        '\\n',
        '\\"',
        '\\\\',
        ' #',
        '\n#',
        '=',
        '\r',
      ],
      ...[
        'APP_DATABASE__POOL_SIZE=',
        'APP_FEATURES__X=',
        'APP___PROTO__=1\n',
        'APP_CONSTRUCTOR=1\n',
        'sops_mac=x\n',
        'MAPPED=',
      ],
    ],
    modules: /^(daemon\/sources\/(parse|decode-text)|daemon\/model\/app-schema|schemas\/environment)/,
    hasFeedback: true,
    async try(input) {
      for (const chosen of [naming, {}]) {
        const value = await parsed(input, 'env', { naming: chosen });
        if (value !== undefined) expectSettings(value);
      }
      expectSameVariables(input.toString());
    },
  };
}

const envRules = { subject: 'f', keys: 1_000_000 };

function expectSameVariables(text: string): void {
  let variables: Record<string, string>;
  try {
    variables = parseEnvText(text, envRules);
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return expectKnown(error, /^source_(malformed|duplicate_key)$/);
  }
  const written = Object.entries(variables).map(([name, value]) => `${name}=${quoted(value)}\n`);
  must(
    isEqual(parseEnvText(written.join(''), envRules), variables),
    'variables that are written again are read differently',
  );
  // Where dotenv reads another value on purpose (see config/README.md), or ends a line at U+2028 and U+2029.
  if (/\\[\\"'`t]|\\$|\\\n/m.test(text) || /[^ \t\n\r]#|[\u2028\u2029]/.test(text)) return;
  must(isEqual(dotenv.parse(text), variables), 'dotenv reads it differently');
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\r', '\\r').replaceAll('\n', '\\n')}"`;
}
