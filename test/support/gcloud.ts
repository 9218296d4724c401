import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

let isThere: boolean | undefined;

/** Whether the real `gcloud` is installed. */
export function hasGcloud(): boolean {
  if (isThere === undefined) {
    try {
      execFileSync('gcloud', ['--version'], { stdio: 'ignore' });
      isThere = true;
    } catch {
      isThere = false;
    }
  }
  return isThere;
}

/** Runs the real `gcloud` to its end. Throws what it says when it fails. */
export async function gcloud(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = '',
): Promise<string> {
  const child = spawn('gcloud', args, { env: { ...process.env, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(stderr.trim());
  return stdout;
}

/** The environment in which `gcloud` speaks to a Secret Manager at this URL, without Google and without credentials. */
export function gcloudEnv({
  url,
  project,
  config,
}: {
  readonly url: string;
  readonly project: string;
  readonly config: string;
}): Record<string, string> {
  return {
    CLOUDSDK_CONFIG: config,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url,
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
    CLOUDSDK_CORE_PROJECT: project,
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
    CLOUDSDK_CORE_CHECK_GCE_METADATA: 'false',
    CLOUDSDK_SURVEY_DISABLE_PROMPTS: '1',
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: '1',
  };
}
