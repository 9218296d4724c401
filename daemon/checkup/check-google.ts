import { DaemonError } from '../model/errors.ts';
import type { GcpOptions, SecretOptions } from '../ops/gcp-options.ts';
import type { SecretManagerClient } from '../sources/gcp/secret-manager-client.ts';
import { type Finding, failed, ok, warn } from './finding.ts';

/** What the account may do with each secret, and what it is for. */
const permissions = {
  'secretmanager.versions.access': 'roles/secretmanager.secretAccessor: without it nothing can be read',
  'secretmanager.versions.list':
    'roles/secretmanager.viewer: without it the newest enabled version is found by more calls',
} as const;

/** Credentials, every secret, the topic and the subscription. Reads values and forgets them; changes nothing. */
export async function checkGoogle(gcp: GcpOptions): Promise<Finding[]> {
  const { SecretManagerClient } = await import('../sources/gcp/secret-manager-client.ts');
  const { secretManager: endpoint } = gcp.endpoints;
  const credentials = await checkCredentials(gcp.project, endpoint?.isLoopback === true);
  // Without them nothing else can be asked.
  if (credentials.verdict === 'fail') return [credentials];
  const client = new SecretManagerClient({ project: gcp.project, ...(endpoint && { endpoint }) });
  try {
    const secrets = (await Promise.all(gcp.secrets.map((secret) => checkSecret(client, gcp.project, secret)))).flat();
    const found = gcp.discover ? [await checkDiscovery(client, gcp.discover)] : [];
    return [credentials, ...secrets, ...found, ...(await checkNotifications(gcp))];
  } finally {
    await client.close();
  }
}

async function checkCredentials(project: string, isLoopback: boolean): Promise<Finding> {
  if (isLoopback) return ok('credentials', 'none needed for a loopback endpoint');
  const { GoogleCredentials } = await import('../sources/gcp/google-credentials.ts');
  try {
    await new GoogleCredentials({ project }).ready();
    return ok('credentials', 'they are at hand');
  } catch (error) {
    return failed('credentials', error);
  }
}

async function checkSecret(
  client: SecretManagerClient,
  project: string,
  { secret: id, version, location }: SecretOptions,
): Promise<Finding[]> {
  const check = `secret ${id}`;
  const ref = { project, id, ...(location && { location }) };
  const signal = AbortSignal.timeout(10_000);
  try {
    const wanted = version.kind === 'number' ? version.number : version.kind === 'alias' ? version.alias : 'latest';
    const { version: read } = await client.access(ref, wanted, signal);
    const granted = await client.granted(ref, Object.keys(permissions), signal);
    const lacking = granted ? Object.entries(permissions).filter(([name]) => !granted.includes(name)) : [];
    return [
      ok(check, `version ${read} can be read`),
      ...lacking.map(([name, why]) => warn(check, `${name} is not granted`, `grant ${why}`)),
    ];
  } catch (error) {
    // The newest created version may be disabled while an older one is served.
    const isDisabled =
      error instanceof DaemonError && error.code === 'secret_disabled' && version.kind === 'newest-enabled';
    return [failed(check, error, isDisabled ? 'warn' : 'fail')];
  }
}

async function checkDiscovery(
  client: SecretManagerClient,
  { filter, location }: NonNullable<GcpOptions['discover']>,
): Promise<Finding> {
  const check = `secrets with ${filter}`;
  try {
    const { length } = await client.find(filter, location, AbortSignal.timeout(10_000));
    return length > 0
      ? ok(check, `${length} are found`)
      : warn(check, 'none is found', 'check the filter, and the labels of the secrets');
  } catch (error) {
    return failed(check, error);
  }
}

async function checkNotifications({ project, notifications, endpoints }: GcpOptions): Promise<Finding[]> {
  if (!notifications)
    return [warn('topic', 'no sources.gcp.notifications: changes are found by the resync alone', 'name a topic')];
  const { PubsubSubscription } = await import('../sources/gcp/pubsub-subscription.ts');
  const subscription = new PubsubSubscription({
    project,
    notifications: { ...notifications, keep: true },
    name: 'hotconf-doctor',
    ...(endpoints.pubsub && { endpoint: endpoints.pubsub }),
  });
  try {
    const found = [await attempt('topic', () => subscription.findTopic(), notifications.topic)];
    if (notifications.subscription === 'auto') return [...found, ok('subscription', 'one of its own will be made')];
    return [...found, await attempt('subscription', () => subscription.find(), notifications.subscription)];
  } finally {
    await subscription.stop();
  }
}

async function attempt(check: string, look: () => Promise<void>, message: string): Promise<Finding> {
  try {
    await look();
    return ok(check, message);
  } catch (error) {
    return failed(check, error);
  }
}
