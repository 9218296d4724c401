import { useDaemon } from './use-daemon.ts';
import { useGoogle } from './use-google.ts';

/** A daemon for each test with secrets of a Google of its own, besides a file. */
export function useGcpDaemon() {
  const google = useGoogle();
  const test = useDaemon();
  /** Sets `sources.gcp`, and what else the options are to be, without starting. */
  const prepare = (
    gcp: Record<string, unknown>,
    { sources: others = {}, ...more }: { sources?: object } & Record<string, unknown> = {},
  ) => {
    const { sources } = test().options as { sources: object };
    Object.assign(test().options, { sources: { ...sources, ...others, gcp: google().options(gcp) }, ...more });
  };
  const start = (...args: Parameters<typeof prepare>) => {
    prepare(...args);
    return test().start();
  };
  const source = () =>
    test()
      .daemon!.reports.status()
      .sources.find(({ id }) => id === 'gcp')!;
  /** Calls to Secret Manager since they were last asked for, such as `AccessSecretVersion db 2`. */
  let seen = 0;
  beforeEach(() => {
    seen = 0;
  });
  const calls = () => {
    const all = google().store.faults.calls;
    const fresh = all.slice(seen).map(({ method, name }) => {
      const [, id, version] = /secrets\/([^/]+)(?:\/versions\/(.+))?$/.exec(name) ?? [];
      return [method.replace(/SecretVersions?$/, ''), id, version].filter(Boolean).join(' ');
    });
    seen = all.length;
    return fresh;
  };
  return { google, test, prepare, start, source, calls };
}
