import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { useGoogle } from '../support/use-google.ts';

const hook = join(import.meta.dirname, '../fixtures/log-imports.mjs');

describe('the packages of Google', () => {
  const google = useGoogle();
  const scratch = useScratch();
  const run = useProcesses();

  const loadedBy = async (sources: Record<string, unknown>) => {
    const log = scratch().path('imports');
    const file = layExample(scratch(), { sources: { files: [{ path: './secrets' }], ...sources } });
    const env = { ...process.env, NODE_OPTIONS: `--import=${hook}`, IMPORTS_LOG: log };
    await (await run(['start', '--config', file], { env }).ready()).kill('SIGTERM');
    const packages = readFileSync(log, 'utf8').matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/g);
    return new Set([...packages].map(([, name]) => name));
  };

  it('are loaded only when sources.gcp is set', async () => {
    const without = await loadedBy({});
    expect([...without]).include('chokidar');
    // The API of OpenTelemetry is a part of prom-client, too.
    const ofGoogle = /google|grpc|protobuf|gaxios|gcp|opentelemetry\/(?!api$)|crc-32/;
    expect([...without].filter((name) => ofGoogle.test(name!))).deep.equal([]);
    google().secret('key', ['one']);
    const with_ = await loadedBy({ gcp: google().options({ secrets: [{ secret: 'key', at: 'llm.key' }] }) });
    expect([...with_]).include.members(['@google-cloud/pubsub', '@google-cloud/secret-manager', '@grpc/grpc-js']);
  });
});
