import { expect } from 'chai';
import { HotconfProcess, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { gcloud, hasGcloud } from '../support/gcloud.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { useGoogle } from '../support/use-google.ts';

describe('the real gcloud', function () {
  // Each call of gcloud starts a Python: a second, and more on a busy machine.
  this.timeout(90_000);
  const google = useGoogle();
  const scratch = useScratch();
  const run = useProcesses();

  before(function () {
    if (!hasGcloud()) skipBecause(this as Mocha.Context, 'gcloud is not installed');
  });

  const call = (command: string, input?: string) =>
    gcloud(['secrets', ...command.split(' ')], google().manager.gcloudEnv(scratch().path('gcloud')), input);

  it('creates, adds, disables, enables and destroys, and `hotconf watch` shows each change', async () => {
    google().secret('key', ['first']);
    const gcp = google().options({
      secrets: [{ secret: 'key', at: 'llm.key' }],
      discover: { filter: 'labels.app=billing', at: 'extra' },
    });
    const file = layExample(scratch(), { sources: { files: [{ path: './secrets' }], gcp } });
    await run(['start', '--config', file]).ready();
    const watch = run(['watch', '--json', '--config', file]);
    await until('it is watching', () => watch.stderr !== '' || watch.stdout !== '');
    const lines = () =>
      watch.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    let count = lines().length;
    const next = async (what: string) => {
      await until(`watch shows that ${what}`, () => lines().length > count, 20_000);
      return lines()[count++];
    };
    const value = async () => {
      const get = new HotconfProcess(['get', 'llm.key', '--reveal', '--config', file]);
      await get.ended();
      return get.stdout.trim();
    };

    await call('versions add key --data-file=-', 'second');
    expect(await next('a version was added')).deep.include({ changed: ['llm.key'], cause: 'secret-manager' });
    expect(await value()).equal('second');
    await call('versions disable 2 --secret=key');
    await next('it was disabled');
    expect(await value()).equal('first');
    await call('versions enable 2 --secret=key');
    await next('it was enabled');
    expect(await value()).equal('second');
    await call('versions destroy 2 --secret=key');
    await next('it was destroyed');
    expect(await value()).equal('first');

    await call(
      `create token --replication-policy=automatic --labels=app=billing --topics=${google().topic} --data-file=-`,
      'token-1',
    );
    expect(await next('a secret was created')).deep.include({ changed: ['extra.token'] });
    await call(`update token --remove-topics=${google().topic}`);
    await call(`update token --add-topics=${google().topic}`);
    await call('versions add token --data-file=-', 'token-2');
    expect(await next('its topic works again')).deep.include({ changed: ['extra.token'] });
    await call('delete token');
    const status = async () => {
      const asked = new HotconfProcess(['status', '--json', '--config', file]);
      await asked.ended();
      return JSON.parse(asked.stdout).sources.find(({ id }: { id: string }) => id === 'gcp');
    };
    await until('the deleted one is told', async () => (await status()).problem?.code === 'secret_not_found', 20_000);
    expect(await value()).equal('first');
  });
});
