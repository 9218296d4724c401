import { expect } from 'chai';
import { DaemonError } from '../../daemon/model/errors.ts';
import type { SecretManager, SecretRef } from '../../daemon/sources/gcp/secret-manager.ts';
import type { StatusName } from '../support/secret-manager/status.ts';

/** What a test does to Secret Manager from the other side. */
export interface SecretManagerWorld {
  readonly project: string;
  readonly projectNumber: string;
  create(id: string, patch?: { readonly labels?: Record<string, string>; readonly location?: string }): void;
  setState(secret: SecretRef, version: number, state: 'ENABLED' | 'DISABLED' | 'DESTROYED'): void;
  setAlias(secret: SecretRef, alias: string, version: number): void;
  fail(status: StatusName, method: string): void;
  damage(kind: 'truncate' | 'wrongChecksum'): void;
  /** Makes it one that is not quite Google. */
  differ(quirk: 'ignoresFilter' | 'ignoresPageSize'): void;
}

/** What hotconf needs of a Secret Manager, by whatever it is reached. */
export function secretManagerContract(
  open: () => { readonly manager: SecretManager; readonly world: SecretManagerWorld },
): void {
  const signal = new AbortController().signal;
  const ref = (id: string, location?: string): SecretRef => ({
    project: open().world.project,
    id,
    ...(location && { location }),
  });
  const bytes = (text: string) => Buffer.from(text);
  const codeOf = async (act: Promise<unknown>) => {
    const error = await act.then(
      () => undefined,
      (thrown) => thrown,
    );
    expect(error).instanceOf(DaemonError);
    return (error as DaemonError).code;
  };

  it('reads by number, `latest` and alias, and answers with the number and the project’s number', async () => {
    const { manager, world } = open();
    world.create('db');
    expect(await manager.add(ref('db'), bytes('one'), signal)).equal(1);
    expect(await manager.add(ref('db'), bytes('two'), signal)).equal(2);
    world.setAlias(ref('db'), 'good', 1);
    for (const [version, number, text] of [
      [1, 1, 'one'],
      ['latest', 2, 'two'],
      ['good', 1, 'one'],
    ] as const) {
      const payload = await manager.access(ref('db'), version, signal);
      expect({ ...payload, bytes: payload.bytes.toString() }).deep.equal({
        version: number,
        project: world.projectNumber,
        bytes: text,
      });
    }
  });

  it('tells the newest enabled version apart from the newest one', async () => {
    const { manager, world } = open();
    world.create('db');
    expect(await manager.newestEnabled(ref('db'), signal)).equal(undefined);
    for (const text of ['one', 'two', 'three']) await manager.add(ref('db'), bytes(text), signal);
    expect(await manager.newestEnabled(ref('db'), signal)).equal(3);
    await manager.disable(ref('db'), 3, signal);
    world.setState(ref('db'), 2, 'DESTROYED');
    expect(await manager.newestEnabled(ref('db'), signal)).equal(1);
    expect(await codeOf(manager.access(ref('db'), 'latest', signal))).equal('secret_disabled');
    expect(await codeOf(manager.access(ref('db'), 2, signal))).equal('secret_disabled');
  });

  for (const quirk of ['ignoresFilter', 'ignoresPageSize'] as const)
    it(`never takes a disabled version for an enabled one, nor another's secret for ours, where a server ${quirk}`, async () => {
      const { manager, world } = open();
      world.differ(quirk);
      world.create('db', { labels: { app: 'billing' } });
      world.create('theirs', { labels: { app: 'web' } });
      for (const text of ['one', 'two', 'three']) await manager.add(ref('db'), bytes(text), signal);
      expect(await manager.newestEnabled(ref('db'), signal)).equal(3);
      await manager.disable(ref('db'), 3, signal);
      expect(await manager.newestEnabled(ref('db'), signal)).equal(2);
      for (const version of [2, 1]) await manager.disable(ref('db'), version, signal);
      expect(await manager.newestEnabled(ref('db'), signal)).equal(undefined);
      const found = await manager.find('labels.app=billing', undefined, signal);
      expect(found.map(({ id }) => id)).deep.equal(['db']);
    });

  it('finds by label, however many there are', async () => {
    const { manager, world } = open();
    for (let i = 0; i < 1_100; i++) world.create(`s${i}`, { labels: { app: i % 2 === 0 ? 'billing' : 'web' } });
    const found = await manager.find('labels.app=billing', undefined, signal);
    expect(found).length(550);
    expect(found[0]).deep.equal({ project: world.project, id: found[0]!.id });
    const all = await manager.find('labels.app:*', undefined, signal);
    expect(all).length(1_100);
  });

  it('keeps regional secrets apart from global ones', async () => {
    const { manager, world } = open();
    world.create('db');
    world.create('db', { location: 'europe-west1' });
    await manager.add(ref('db'), bytes('global'), signal);
    await manager.add(ref('db', 'europe-west1'), bytes('regional'), signal);
    expect((await manager.access(ref('db', 'europe-west1'), 1, signal)).bytes.toString()).equal('regional');
    expect((await manager.access(ref('db'), 1, signal)).bytes.toString()).equal('global');
  });

  it('names what is missing or not permitted, and the role that is needed', async () => {
    const { manager, world } = open();
    world.create('empty');
    expect(await codeOf(manager.access(ref('nothing'), 1, signal))).equal('secret_not_found');
    expect(await codeOf(manager.access(ref('empty'), 'latest', signal))).equal('secret_not_found');
    expect(await codeOf(manager.newestEnabled(ref('nothing'), signal))).equal('secret_not_found');
    expect(await codeOf(manager.access({ project: 'nobody', id: 'x' }, 1, signal))).equal('secret_forbidden');
    expect(await codeOf(manager.find('what is this', undefined, signal))).equal('secret_refused');
    const roles = {
      AccessSecretVersion: 'secretAccessor',
      ListSecretVersions: 'viewer',
      AddSecretVersion: 'secretVersionAdder',
    };
    for (const method of Object.keys(roles)) world.fail('PERMISSION_DENIED', method);
    const calls: readonly [string, () => Promise<unknown>][] = [
      [roles.AccessSecretVersion, () => manager.access(ref('empty'), 1, signal)],
      [roles.ListSecretVersions, () => manager.newestEnabled(ref('empty'), signal)],
      [roles.AddSecretVersion, () => manager.add(ref('empty'), bytes('x'), signal)],
    ];
    for (const [role, call] of calls) {
      const error: DaemonError = await call().then(
        () => expect.fail('it is permitted'),
        (thrown) => thrown,
      );
      expect(error.code).equal('secret_forbidden');
      expect(error.message).contain(`roles/secretmanager.${role}`).contain('empty');
    }
  });

  for (const status of ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'ABORTED', 'INTERNAL'] as const) {
    it(`takes ${status} for something that passes`, async () => {
      const { manager, world } = open();
      world.create('db');
      await manager.add(ref('db'), bytes('one'), signal);
      world.fail(status, 'AccessSecretVersion');
      expect(await codeOf(manager.access(ref('db'), 1, signal))).equal('secret_unavailable');
    });
  }

  for (const kind of ['truncate', 'wrongChecksum'] as const) {
    it(`refuses a payload that does not match its checksum (${kind})`, async () => {
      const { manager, world } = open();
      world.create('db');
      await manager.add(ref('db'), bytes('whole'), signal);
      world.damage(kind);
      expect(await codeOf(manager.access(ref('db'), 1, signal))).equal('secret_corrupt');
    });
  }

  it('serves 64 KiB of any bytes, and refuses more', async () => {
    const { manager, world } = open();
    world.create('big');
    const big = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7) % 256));
    await manager.add(ref('big'), big, signal);
    expect((await manager.access(ref('big'), 1, signal)).bytes.equals(big)).equal(true);
    expect(await codeOf(manager.add(ref('big'), Buffer.alloc(65_537), signal))).equal('secret_refused');
  });
}
