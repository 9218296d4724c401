import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect } from 'chai';
import { skipBecause } from '../support/skip.ts';
import { quietFor, until } from '../support/until.ts';
import { type LogLine, useDaemon } from '../support/use-daemon.ts';

describe('faults of files', () => {
  const daemon = useDaemon();
  const write = (content: string | Buffer, mode?: number) => daemon().scratch.write('secrets/app.yaml', content, mode);
  const state = () => daemon().daemon!.reports.status().state.kind;

  /** The content is refused with a code, what was served stays, and a good content makes all well again. */
  async function expectKept(code: string, harm: () => void, says?: string | RegExp): Promise<LogLine> {
    const config = await (await daemon().start()).connect();
    const before = config.settings;
    harm();
    const end = await daemon().reloaded(2);
    expect(end).include({ event: 'config_reload_failed', code });
    if (says) expect(end.message).match(typeof says === 'string' ? new RegExp(says) : says);
    expect(config.settings).equal(before);
    expect(config.snapshot.revision).equal(1);
    expect(state()).equal('stale');
    const url = daemon().canary();
    const path = daemon().scratch.path('secrets/app.yaml');
    rmSync(path, { recursive: true, force: true });
    chmodSync(daemon().scratch.path('secrets'), 0o755);
    write(`database: { url: ${url} }\n`);
    await until('it recovers', () => config.settings.database.url === url);
    expect(state()).equal('ready');
    return end;
  }

  it('17: a file written in two halves with a long pause shows nothing until it is whole', async () => {
    const config = await (await daemon().start()).connect();
    write('database:\n  poolSize: 3\n  url: "half');
    await quietFor(700);
    expect(config.snapshot.revision).equal(1);
    write('database:\n  poolSize: 3\n  url: "halves"\n');
    await until('the whole is there', () => config.settings.database.url === 'halves');
    expect(config.snapshot.revision).equal(2);
    // The half was gone before its time was up, so it was no failure.
    expect(daemon().logged('config_reload_failed')).deep.equal([]);
  });

  it('18: a truncated file that is still valid YAML is rejected by the required keys', async () => {
    write(`features: { a: true }\ndatabase:\n  poolSize: 2\n  url: ${daemon().canary()}\n`);
    await expectKept(
      'settings_invalid',
      () => truncateSync(daemon().scratch.path('secrets/app.yaml'), 46),
      'database.url.*required',
    );
  });

  it('19: an emptied file', () => expectKept('source_empty', () => write('')));
  it('19: a file with nothing but comments', () =>
    expectKept('source_empty', () => write('# gone\n'), 'hotconf reload'));
  it('19: a deleted file', () =>
    expectKept('source_missing', () => rmSync(daemon().scratch.path('secrets/app.yaml')), 'app.yaml'));

  it('20: a wrong type names file, path, rule and mend, and no value', async () => {
    const secret = daemon().canary();
    await expectKept(
      'settings_invalid',
      () => write(`database: { url: [${secret}] }\n`),
      /secrets\/app\.yaml:1: database\.url: must be string \(correct it/,
    );
  });

  const bombs: readonly [string, string, () => string][] = [
    ['an alias bomb', 'source_too_many_values', aliasBomb],
    ['a depth of 100,000 in brackets', 'source_too_deep', () => `a: ${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    [
      'a depth of 15,000 in brackets, small enough to be read at once',
      'source_too_deep',
      () => `a: ${'['.repeat(15_000)}${']'.repeat(15_000)}`,
    ],
    ['a depth of 65', 'source_too_deep', () => `a: ${'{a: '.repeat(65)}1${'}'.repeat(65)}\n`],
    ['20,001 keys', 'source_too_many_keys', () => Array.from({ length: 20_001 }, (_, i) => `k${i}: 1`).join('\n')],
    ['100 MB', 'source_too_large', () => 'x'.repeat(100 * 1024 * 1024)],
  ];
  for (const [what, code, content] of bombs) {
    it(`21: ${what} is refused soon, and the loop is never held up`, async () => {
      const config = await (await daemon().start()).connect();
      const bomb = content();
      // Moved into place, so that writing it is not measured.
      daemon().scratch.write('bomb', bomb);
      renameSync(daemon().scratch.path('bomb'), daemon().scratch.path('secrets/bomb.yaml'));
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const end = await daemon().reloaded(2);
      delay.disable();
      expect(end).include({ event: 'config_reload_failed', code });
      expect(delay.max / 1e6, 'ms that the loop was held up').lessThan(100);
      expect(config.snapshot.revision).equal(1);
    });
  }

  const contents: readonly [string, string, string | Buffer][] = [
    ['__proto__', 'source_forbidden_key', '__proto__: { admin: true }\ndatabase: { url: abc }\n'],
    ['constructor, nested', 'source_forbidden_key', 'database: { url: abc, constructor: 1 }\n'],
    ['duplicate keys', 'source_duplicate_key', 'database: { url: abc }\nfeatures: {}\ndatabase: { url: def }\n'],
    ['a NUL byte', 'source_encoding', 'database: { url: "a\0b" }\n'],
    ['UTF-16 with its mark', 'source_encoding', Buffer.from('\ufeffdatabase: { url: abc }\n', 'utf16le')],
    ['UTF-16 without its mark', 'source_encoding', Buffer.from('database: { url: abc }\n', 'utf16le')],
    [
      'broken UTF-8',
      'source_encoding',
      Buffer.concat([Buffer.from('database: { url: ab'), Buffer.from([0xc3, 0x28]), Buffer.from(' }\n')]),
    ],
    ['a tab for indentation', 'source_malformed', 'database:\n\turl: abc\n'],
    ['a list at the top', 'source_malformed', '- database\n'],
    ['a number too long to be exact', 'source_malformed', 'database: { url: abc }\nextra: 12345678901234567890\n'],
    ['infinity', 'source_malformed', 'database: { url: abc }\nextra: .inf\n'],
    ['an unknown tag', 'source_malformed', 'database: { url: !vault abc }\n'],
    ['two documents', 'source_malformed', 'database: { url: abc }\n---\nfeatures: {}\n'],
  ];
  for (const [what, code, content] of contents)
    it(`22: ${what} is refused`, () => expectKept(code, () => write(content)).then(() => {}));

  for (const [what, content] of [
    ['a UTF-8 mark', '\ufeffdatabase: { url: marked }\n'],
    ['CRLF', 'database:\r\n  url: marked\r\n'],
    ['anchors and merging', 'extra: &b { url: marked }\ndatabase: { <<: *b }\n'],
  ] as const) {
    it(`22: ${what} is read`, async () => {
      const config = await (await daemon().start()).connect();
      write(content);
      await until('it is read', () => config.settings.database.url === 'marked');
    });
  }

  it('24: a world-readable file where the check is strict', () =>
    expectKept(
      'source_insecure',
      () => {
        daemon().scratch.open();
        chmodSync(daemon().scratch.path('secrets/app.yaml'), 0o644);
      },
      'chmod 0600',
    ).then(() => {}));
  it('24: is served where others cannot enter a folder on the way, whatever its own mode', async () => {
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('next', 'database: { url: closed }\n', 0o644);
    renameSync(daemon().scratch.path('next'), daemon().scratch.path('secrets/app.yaml'));
    await until('it is served', () => config.settings.database.url === 'closed');
    expect(daemon().logged('source_file_exposed')).length(0);
  });
  it('24: a folder that everybody may write to, where the check is strict', () =>
    expectKept(
      'source_insecure',
      () => {
        daemon().scratch.open();
        chmodSync(daemon().scratch.path('secrets'), 0o777);
        daemon().scratch.write('secrets/app.yaml', `database: { url: ${daemon().canary()} }\n`);
      },
      'chmod o-w',
    ).then(() => {}));
  it('24: a file of somebody else', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    await expectKept(
      'source_insecure',
      () => chownSync(daemon().scratch.path('secrets/app.yaml'), 12345, 12345),
      '12345',
    );
  });
  it('24: a fifo', () =>
    expectKept('source_insecure', () => {
      rmSync(daemon().scratch.path('secrets/app.yaml'));
      execFileSync('mkfifo', ['-m', '600', daemon().scratch.path('secrets/app.yaml')]);
    }).then(() => {}));
  it('24: a device', () =>
    expectKept('source_insecure', () => {
      rmSync(daemon().scratch.path('secrets/app.yaml'));
      symlinkSync('/dev/zero', daemon().scratch.path('secrets/app.yaml'));
    }).then(() => {}));
  it('24: a link out of the folder', () =>
    expectKept(
      'source_insecure',
      () => {
        const outside = daemon().scratch.write('outside.yaml', `database: { url: ${daemon().canary()} }\n`);
        rmSync(daemon().scratch.path('secrets/app.yaml'));
        symlinkSync(outside, daemon().scratch.path('secrets/app.yaml'));
      },
      'leads out of',
    ).then(() => {}));
  it('24: is only a warning, told once, where the check says so', async () => {
    daemon().options.fileModeCheck = 'warn';
    daemon().scratch.open();
    const config = await (await daemon().start()).connect();
    for (const url of ['one', 'two']) {
      daemon().scratch.write('next', `database: { url: ${url} }\n`, 0o644);
      renameSync(daemon().scratch.path('next'), daemon().scratch.path('secrets/app.yaml'));
      await until(url, () => config.settings.database.url === url);
    }
    expect(daemon().logged('source_file_exposed')).length(1);
  });

  it('26: a watched folder that is removed and made again', async () => {
    const config = await (await daemon().start()).connect();
    rmSync(daemon().scratch.path('secrets'), { recursive: true });
    expect(await daemon().reloaded(2)).include({ code: 'source_missing' });
    for (const url of ['again', 'and-again']) {
      write(`database: { url: ${url} }\n`);
      await until(url, () => config.settings.database.url === url);
    }
    expect(state()).equal('ready');
  });

  it('26: an optional folder that is missing at the start', async () => {
    daemon().options.sources = {
      defaults: './defaults.yaml',
      files: [{ path: './secrets' }, { path: './later/on', optional: true }],
    };
    const config = await (await daemon().start()).connect();
    mkdirSync(daemon().scratch.path('later'));
    await quietFor(50);
    daemon().scratch.write('later/on/x.yaml', 'features: { late: true }\n');
    await until('it is found', () => config.settings.features.late === true);
  });

  it('28: an overflow of the event queue while the loop is blocked', async () => {
    const config = await (await daemon().start()).connect();
    const script = `i=0; while [ $i -lt 9000 ]; do : > junk-$i.yaml; i=$((i+1)); done; rm -f junk-*.yaml; echo 'database: { url: after-the-flood }' > app.yaml`;
    execFileSync('sh', ['-c', script], { cwd: daemon().scratch.path('secrets') });
    await until('the last content is there', () => config.settings.database.url === 'after-the-flood', 15_000);
  });

  it('29: a thousand edits a second are settled by the maximum wait (law 4), and the last one wins', async () => {
    const config = await (await daemon().start()).connect();
    let edits = 0;
    const started = performance.now();
    while (performance.now() - started < 3_000) {
      write(`database: { url: edit-${++edits} }\n`);
      if (edits % 10 === 0) await quietFor(5);
    }
    const during = daemon().revision;
    await until('the last one wins', () => config.settings.database.url === `edit-${edits}`);
    expect(edits).greaterThan(1_000);
    // 3 s of steady change at a maximum wait of 500 ms: some reloads in between, and far fewer than edits.
    expect(during).within(3, 8);
  });
});

function aliasBomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 9; i++)
    lines.push(
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  return `${lines.join('\n')}\n`;
}
