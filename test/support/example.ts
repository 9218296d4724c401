import { stringify } from 'yaml';
import type { Scratch } from './scratch.ts';
import { appSchema } from './use-daemon.ts';

export const exampleOptions = {
  environment: 'production',
  schema: './app.schema.json',
  sources: { defaults: './defaults.yaml', files: [{ path: './secrets' }] } as Record<string, unknown>,
  reload: { rescan: '1s', startWait: '0s' } as Record<string, unknown>,
  admin: { rateLimit: { reloads: 1000, per: '1s' } } as Record<string, unknown>,
  runtimeDir: './run',
  stateDir: './state',
  log: { level: 'debug' } as Record<string, unknown>,
};

/** A small set-up in a scratch folder, and the path of its options file. */
export function layExample(scratch: Scratch, options: Record<string, unknown> = {}): string {
  scratch.write('app.schema.json', JSON.stringify(appSchema));
  scratch.write('defaults.yaml', 'database: { poolSize: 5 }\nfeatures: { beta: false }\n');
  scratch.write('secrets/app.yaml', 'database: { url: value-0 }\n');
  return scratch.write('hotconf.yaml', stringify({ ...exampleOptions, ...options }));
}
