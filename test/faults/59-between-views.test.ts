import { expect } from 'chai';
import type { Response, VerifyFrame } from '../../schemas/wire.ts';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';

const names = ['default', 'web', 'db'] as const;
type Name = (typeof names)[number];

/** What belongs to one view; `default` shows all of it. */
const own = {
  default: {
    file: 'secrets/only-default.json',
    words: 'words-of-default',
    path: 'extra',
    of: (v: unknown) => ({ extra: v }),
  },
  web: {
    file: 'secrets/only-web.json',
    words: 'words-of-web',
    path: 'features',
    of: (v: unknown) => ({ features: { w: v } }),
  },
  db: { file: 'secrets/only-db.json', words: 'words-of-db', path: 'llm', of: (v: unknown) => ({ llm: { key: v } }) },
};

describe('59: between views', () => {
  const { google, test, start } = useGcpDaemon();
  const programs = new Map<Name, RawProgram>();
  const edit = (view: Name, value: unknown) =>
    test().scratch.write(own[view].file, JSON.stringify(own[view].of(value)));
  const right = { mayReload: true, mayRotate: true };
  const kinds = ['reload', 'validate', 'summary', 'config', 'rotate'];
  let asked = 0;

  /** A program that answers everything, and refuses in its own words what it is to refuse. */
  const connect = async (view: Name, refuses: () => boolean) => {
    const program = new RawProgram(test().scratch.path(`run/${view}.sock`));
    program.hello({ name: `program-of-${view}`, capabilities: ['verify'] });
    program.socket.on('data', () => {
      for (const { type, data } of program.frames.splice(0, program.frames.length)) {
        if (type === 'verify' && refuses())
          program.send('nack', {
            nonce: data.nonce,
            revision: data.revision,
            code: 'x',
            paths: [],
            message: own[view].words,
          });
        else if (type === 'snapshot' || type === 'verify')
          program.send('ack', { nonce: (data as unknown as VerifyFrame).nonce, revision: data.revision, applyMs: 0 });
        seen.set(view, [...(seen.get(view) ?? []), { type, data }]);
      }
    });
    programs.set(view, program);
    await until('it is served', () => seen.get(view)?.some(({ type }) => type === 'snapshot'));
  };
  const seen = new Map<Name, { type: string; data: unknown }[]>();
  const ask = async (view: Name, kind: string, fields = {}) => {
    const id = String(++asked);
    programs.get(view)!.send('request', { id, kind, ...fields });
    const answer = () =>
      seen.get(view)!.find(({ type, data }) => type === 'response' && (data as Response).id === id)?.data as Response;
    await until(`${kind} is answered`, answer);
    return answer();
  };
  const askAll = async (view: Name) => {
    const answers = new Map<string, Response>();
    for (const kind of kinds)
      answers.set(kind, await ask(view, kind, kind === 'rotate' ? { secret: 'common', value: 'eA==' } : {}));
    return answers;
  };
  const open = async (refusing: readonly Name[] = []) => {
    google().secret('common', ['one']);
    google().secret('web-key', ['one']);
    for (const view of names) edit(view, view === 'web' ? true : 'value-1');
    const gcp = {
      secrets: [
        { secret: 'common', at: 'database.url' },
        { secret: 'web-key', at: 'features.key' },
      ],
    };
    const views = {
      default: right,
      web: { include: ['features.**'], ...right },
      db: { include: ['llm', 'database'], ...right },
    };
    test().scratch.write(
      'app.schema.json',
      JSON.stringify({
        type: 'object',
        properties: {
          features: { properties: { w: { type: 'boolean' } } },
          llm: { properties: { key: { type: 'string' } } },
          extra: { type: 'string' },
        },
      }),
    );
    await start(gcp, { views, hotReload: false });
    for (const view of names) await connect(view, () => refusing.includes(view));
  };
  /** Nothing of `other` is in anything that the programs of a view got: not what it says, nor what it is called. */
  const expectNothingOf = (other: Name, view: Name) => {
    const { words, path, file } = own[other];
    const got = JSON.stringify(seen.get(view));
    for (const secret of [words, `program-of-${other}`]) expect(got, `${view} of ${other}`).not.contain(secret);
    if (view !== 'default') for (const text of [path, file]) expect(got, `${view} of ${other}`).not.contain(text);
  };

  beforeEach(() => {
    programs.clear();
    seen.clear();
  });
  afterEach(() => {
    for (const { socket } of programs.values()) socket.destroy();
  });

  for (const [what, value, refuses] of [
    ['that is committed', { web: false, else: 'value-2' }, false],
    ['that a program of it refuses', { web: false, else: 'value-2' }, true],
    ['that the schema refuses', { web: 'no boolean', else: 5 }, false],
  ] as const) {
    for (const other of names) {
      it(`a change of ${other} ${what} shows in no answer to a program of another view`, async () => {
        const refusing: Name[] = [];
        await open(refusing);
        if (refuses) refusing.push(other);
        edit(other, other === 'web' ? value.web : value.else);
        for (const view of names.filter((name) => name !== other)) {
          const before = (await ask(view, 'summary')).result as { revision: number };
          const answers = await askAll(view);
          expectNothingOf(other, view);
          if (view === 'default') continue;
          const { outcome, revision } = answers.get('reload')!.result as { outcome: string; revision?: number };
          // What was refused once waits for its next try, and changes nothing for who asks meanwhile.
          const outcomes = { 'that is committed': ['unchanged'], 'that the schema refuses': ['rejected'] } as const;
          expect(outcome).oneOf([...(outcomes[what as never] ?? ['rejected', 'unchanged'])]);
          if (outcome === 'unchanged') expect(revision).equal(before.revision);
          const summary = answers.get('summary')!.result as { revision: number; lastReload: object };
          expect(summary.revision).equal(before.revision);
          expect(summary.lastReload).include({ outcome: 'committed', revision: before.revision });
        }
      });
    }
  }

  it('a secret outside of the view is not rotated, and is refused as one that does not exist', async () => {
    await open();
    const value = Buffer.from('attacker-chosen').toString('base64');
    const [outside, missing] = [
      await ask('web', 'rotate', { secret: 'common', value }),
      await ask('web', 'rotate', { secret: 'nobody', value }),
    ];
    expect(outside).include({ ok: false, code: 'not_permitted' });
    expect({ ...outside, id: '' }).deep.equal({ ...missing, id: '' });
    expect(google().store.faults.count('AddSecretVersion')).equal(0);
    expect(await ask('web', 'rotate', { secret: 'web-key', value })).nested.include({ 'result.outcome': 'rotated' });
  });

  it('a secret that is mounted in two views is not rotated by a program of one of them', async () => {
    google().secret('both', ['one']);
    test().scratch.write('app.schema.json', JSON.stringify({ type: 'object' }));
    const secrets = [
      { secret: 'both', at: 'features.key' },
      { secret: 'both', at: 'llm.key' },
    ];
    await start({ secrets }, { views: { default: {}, web: { include: ['features.**'], mayRotate: true } } });
    await connect('web', () => false);
    const answer = await ask('web', 'rotate', { secret: 'both', value: 'eA==' });
    expect(answer).include({ ok: false, code: 'not_permitted' });
    expect(google().store.faults.count('AddSecretVersion')).equal(0);
  });

  it('a view rotates its secrets a few times a minute, and no more', async () => {
    // Only the limit of rotations is to be met.
    test().options.limits = { requestsPerMinute: 6_000 };
    await open();
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 8; i++) codes.push((await ask('web', 'rotate', { secret: 'web-key', value: 'eHh4' })).code);
    expect(codes.filter((code) => code === 'rate_limited')).length(2);
    expect((await ask('default', 'rotate', { secret: 'web-key', value: 'eHh4' })).ok).equal(true);
  });
});
