import { type Config, connect, createMemoryConfig, type Link, type Path, type Snapshot } from '../../client/index.ts';

// Checked by `npm run check` alone: the compiler must accept what a user writes and refuse what is wrong.
interface Billing {
  database: { url: string; poolSize: number };
  features: Record<string, boolean>;
  hosts: string[];
  llm?: { key: string; limits: { perMinute: number } };
  'a.b': { c: number };
  'a"b': number;
  '': { empty: number };
  tenants?: Record<string, { url: string; pools?: Record<string, number> }>;
  nullable: { inner: { value: number } | null };
  deep: { a: { b: { c: { d: { e: number } } } } };
}

export async function uses(): Promise<void> {
  const config = await connect<Billing>({
    name: 'billing',
    verify: (next, signal) => [next.database.url satisfies string, signal.aborted satisfies boolean],
  });
  config.settings.database.url satisfies string;
  config.settings.hosts satisfies readonly string[];
  config.settings.features.any satisfies boolean | undefined;
  config.snapshot satisfies Snapshot<Billing>;
  config.link satisfies Link;
  config.get('database.poolSize') satisfies number;
  config.get('database') satisfies { readonly url: string };
  const stop = config.watch('database', async ({ url, poolSize }, previous) => [
    url satisfies string,
    poolSize satisfies number,
    previous.url,
  ]);
  stop();
  config.watch('features.beta', (next) => next satisfies boolean | undefined);
  // @ts-expect-error a record may not have it
  config.watch('features.beta', (next) => next satisfies boolean);
  config.get('llm.key') satisfies string | undefined;
  config.get('llm.limits.perMinute') satisfies number | undefined;
  // @ts-expect-error the part that holds it is optional
  config.get('llm.key') satisfies string;
  config.get('["a.b"].c') satisfies number;
  // @ts-expect-error a key with a dot is written in brackets
  config.get('a.b');
  config.get('deep.a.b.c.d.e') satisfies number;
  config.get('llm.limits') satisfies { readonly perMinute: number } | undefined;
  // @ts-expect-error a part on the way is optional
  config.get('llm.limits.perMinute') satisfies number;
  config.get('tenants.one.url') satisfies string | undefined;
  // @ts-expect-error the part may be missing, and the tenant too
  config.get('tenants.one.url') satisfies string;
  config.get('tenants["a.b"].pools.small') satisfies number | undefined;
  config.get('nullable.inner.value') satisfies number | undefined;
  // @ts-expect-error what holds it may be null
  config.get('nullable.inner.value') satisfies number;
  config.get('[""].empty') satisfies number;
  // @ts-expect-error a key with a quote is not written like that
  config.get('["a"b"]');
  config.watch('llm.limits.perMinute', (next) => next satisfies number | undefined);
  // @ts-expect-error the part that holds it is optional
  config.watch('llm.limits.perMinute', (next) => next satisfies number);
  config.get('anything' as Path) satisfies unknown;
  config.watch((next, previous) => [next.database.url satisfies string, previous.hosts]);
  config
    .on('change', ({ revision, changed }) => [revision satisfies number, changed satisfies readonly string[]])
    .on('link', ({ kind }) => kind);
  for await (const snapshot of config.changes()) snapshot.settings.database.url satisfies string;
  (await config.reload()).outcome satisfies 'committed' | 'unchanged' | 'rejected';
  const memory: Config<Billing> = createMemoryConfig<Billing>({
    database: { url: '', poolSize: 1 },
    features: {},
    hosts: [],
    'a.b': { c: 1 },
    'a"b': 1,
    '': { empty: 1 },
    nullable: { inner: null },
    deep: { a: { b: { c: { d: { e: 1 } } } } },
  });
  await memory.close();

  // @ts-expect-error settings cannot be written
  config.settings.database.url = 'x';
  // @ts-expect-error nor can arrays
  config.settings.hosts.push('x');
  // @ts-expect-error there is no such path
  config.get('database.ulr');
  // @ts-expect-error nor can it be watched
  config.watch('databse', () => {});
  // @ts-expect-error timeoutMs is a number
  await connect({ timeoutMs: '5s' });
}

export async function usesWithoutTypes(): Promise<void> {
  const config = await connect();
  config.get('anything.at.all');
  config.watch('anything', (next: unknown) => next);
}
