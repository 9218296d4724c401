import { SecretManagerClient } from '../../daemon/sources/gcp/secret-manager-client.ts';
import { LocalSecretManager, project, projectNumber } from '../support/secret-manager/local-secret-manager.ts';
import { secretManagerContract } from './secret-manager-contract.ts';

describe('Secret Manager: Google’s client against the local one', () => {
  let local: LocalSecretManager;
  let manager: SecretManagerClient;
  const parent = (location?: string) => `projects/${project}${location ? `/locations/${location}` : ''}`;

  beforeEach(async () => {
    local = await LocalSecretManager.start();
    const [host, port] = local.endpoint.split(':');
    manager = new SecretManagerClient({ project, endpoint: { host: host!, port: Number(port), isLoopback: true } });
  });
  afterEach(async () => {
    await manager.close();
    await local.stop();
  });

  secretManagerContract(() => ({
    manager,
    world: {
      project,
      projectNumber,
      create: (id, { labels = {}, location } = {}) => void local.store.createSecret(parent(location), id, { labels }),
      setState: ({ id }, version, state) =>
        void local.store.setState(`${parent()}/secrets/${id}/versions/${version}`, state),
      setAlias: ({ id }, alias, version) =>
        void local.store.updateSecret(`${parent()}/secrets/${id}`, { versionAliases: { [alias]: version } }),
      fail: (status, method) => void local.store.faults.add({ status, method }),
      damage: (kind) => void local.store.faults.add({ [kind]: true }),
      differ: (quirk) => {
        local.store.quirks[quirk] = true;
      },
    },
  }));
});
