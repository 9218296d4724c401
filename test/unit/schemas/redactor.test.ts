import { expect } from 'chai';
import fc from 'fast-check';
import { Redactor, redacted, withheld } from '../../../schemas/redactor.ts';
import { sharesRun } from '../../../schemas/shared-run.ts';

const redactorOf = (...secrets: string[]) => {
  const redactor = new Redactor(6);
  for (const secret of secrets) redactor.add(secret);
  return redactor;
};
const clean = (text: string, ...secrets: string[]) => redactorOf(...secrets).clean(text);
const message = (text: string, ...secrets: string[]) => redactorOf(...secrets).cleanMessage(text, secrets);

describe('a redactor', () => {
  it('finds what is secret inside of a URL, a connection string or JSON, also percent-decoded', () => {
    const url = 'https://billing:p%40ss%2Fword@db.internal:5432/bill?token=abc123xyz&sslmode=require';
    for (const part of ['billing:p%40ss%2Fword', 'p%40ss%2Fword', 'p@ss/word', 'abc123xyz'])
      expect(clean(`<${part}>`, url), part).equal('<[redacted]>');
    expect(clean('<a-token-1>', 'https://a-token-1:x@db.internal')).equal('<[redacted]>');
    const tame = 'sslmode of billing is required by https://db.internal:5432';
    expect(clean(tame, url)).equal(tame);
    expect(clean('<pa/ss?word>', 'https://billing:pa/ss?word@db.internal')).equal('<[redacted]>');
    expect(clean('<hunter-2>', "host=db user=x password='hunter-2'")).equal('<[redacted]>');
    expect(clean('<inner-secret> <12345678>', '{"a": [{"b": "inner-secret"}, 12345678]}')).equal(
      '<[redacted]> <[redacted]>',
    );
  });

  it('finds a secret in encodings of encodings', () => {
    const secret = 'pass/"ü\n word+1';
    const json = JSON.stringify(JSON.stringify({ secret }));
    const hex = Buffer.from(`x${secret}`).toString('hex');
    const forms = [
      json,
      encodeURIComponent(json.slice(4)),
      encodeURIComponent(encodeURIComponent(secret)),
      `a${hex}`,
      hex.toUpperCase(),
    ];
    for (const form of forms)
      expect(clean(`a ${form} b`, secret), form)
        .contain(redacted)
        .not.contain('word');
    for (const before of ['', 'u', 'us'])
      for (const text of ['', '/', 'ab/'])
        for (const kind of ['base64', 'base64url'] as const) {
          const encoded = text + Buffer.from(before + secret).toString(kind);
          expect(clean(encoded, secret), encoded).contain(redacted).not.contain(encoded.slice(-12));
        }
  });

  it('hides all of a long secret, and what of it stands before a cut', () => {
    const secret = [...Array(200).keys()].map((i) => `${i}-line-of-a-key`).join('\n');
    expect(clean(`<${secret}>`, secret)).equal('<[redacted]>');
    for (const length of [6, 7, 100, 300]) {
      const start = `${'.'.repeat(500 - length)}${secret.slice(0, length)}`;
      expect(message(start + secret.slice(length), secret)).equal(`${start.slice(0, 500 - length)}[redacted]…`);
    }
  });

  it('takes out everything of any secrets that hold each other, in any order', () => {
    const letter = fc.constantFrom('a', 'b', 'c');
    const secret = fc.string({ unit: letter, minLength: 6, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 5 }),
        fc.array(fc.oneof(secret, letter)),
        (secrets, pieces) => {
          const text = pieces.join('');
          const hidden = [...text].map(() => false);
          for (const one of secrets)
            for (let at = text.indexOf(one); at !== -1; at = text.indexOf(one, at + 1))
              hidden.fill(true, at, at + one.length);
          const expected = [...text].map((letter, i) => (!hidden[i] ? letter : hidden[i - 1] ? '' : redacted)).join('');
          expect(clean(text, ...secrets)).equal(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('forgets what was deleted as often as it was added', () => {
    const url = 'https://billing:secret-pw@db/?a=value-1';
    const redactor = redactorOf(url, url, 'other-secret');
    redactor.delete(url);
    expect(redactor.clean('secret-pw')).equal(redacted);
    redactor.delete(url);
    expect(redactor.clean('secret-pw value-1 other-secret')).equal('secret-pw value-1 [redacted]');
  });
});

describe('a message', () => {
  it('is withheld when it shares eight characters in a row with a secret, also escaped', () => {
    const secret = 'key-1234567890-abc';
    expect(message('it ends by 67890-abc', secret)).equal(withheld);
    expect(message('it ends by 6789%30%2dabc', secret)).equal(withheld);
    expect(message('it ends by 890-abc', secret)).equal('it ends by 890-abc');
    expect(message(`all of it: ${secret}`, secret)).equal('all of it: [redacted]');
  });

  it('may hold the names of values, and none of them', () => {
    for (const secret of [
      '{"password": "k9-inner-xyz"}',
      'host=db password=k9-inner-xyz',
      'https://db/?password=k9-inner-xyz',
    ]) {
      expect(message('the password is wrong', secret), secret).equal('the password is wrong');
      expect(message('it is 9-inner-xy', secret), secret).equal(withheld);
    }
    expect(message('it is aGVsbG8gd29', 'aGVsbG8gd29ybGQ=')).equal(withheld);
  });

  it('may say in ordinary words what failed, even where a secret holds them', () => {
    const url = 'postgres://billing:wrong-password@db.internal/database';
    expect(message('password authentication failed for billing', url)).equal(
      'password authentication failed for billing',
    );
    expect(message('it is g-password', url)).equal('it is g-password');
    expect(message('it is rong-passwor', url)).equal(withheld);
  });

  it('may name the host of a URL, and nothing else of it', () => {
    const url = 'https://billing:pw@db.internal.example/hooks/T0123456/B999';
    expect(message('no answer from https://db.internal.example', url)).equal(
      'no answer from https://db.internal.example',
    );
    expect(message('404 at /hooks/T0123456', url)).equal(withheld);
  });

  it('shares a run exactly where one of its stretches of eight characters stands in a secret', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 40 });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const runs = [...one].map((_, i) => one.slice(i, i + 8)).filter(({ length }) => length === 8);
        expect(sharesRun([one], [other])).equal(runs.some((run) => other.includes(run)));
      }),
      { numRuns: 1_000 },
    );
  });
});
