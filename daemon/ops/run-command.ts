import { type ChildProcess, spawn } from 'node:child_process';

export interface CommandEnd {
  /** `exit 0`, `SIGTERM`, or the system's code where it could not be started. */
  readonly how: string;
  readonly isSuccess: boolean;
}

/** How long a command that is to end may ignore it. */
const graceMs = 2_000;

/**
 * Runs a command without a shell to its end, or ends it and all that it has started after a time. Of the daemon's own
 * environment, which may hold secrets, it gets `PATH`, `HOME`, `LANG` and what begins with `HOTCONF_`. Its output goes
 * nowhere, for it might hold what no log may. Never rejects.
 */
export function runCommand(
  [command, ...args]: readonly string[],
  {
    env,
    withinMs,
    signal,
  }: { readonly env: NodeJS.ProcessEnv; readonly withinMs: number; readonly signal: AbortSignal },
): Promise<CommandEnd> {
  return new Promise((resolve) => {
    // A process group of its own, so that what it has started can be ended with it.
    const child = spawn(command!, args, { env: { ...passedOn(process.env), ...env }, stdio: 'ignore', detached: true });
    // Node's own `timeout` goes on running after a command that could not be started.
    const ending = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    const end = () => endGroup(child);
    if (ending.aborted) end();
    ending.addEventListener('abort', end);
    const ended = (how: string, isSuccess: boolean) => {
      ending.removeEventListener('abort', end);
      resolve({ how, isSuccess });
    };
    child.once('error', (error: NodeJS.ErrnoException) => ended(error.code ?? error.name, false));
    child.once('exit', (code, killedBy) => ended(killedBy ?? `exit ${code}`, code === 0));
  });
}

function passedOn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isPassedOn = (name: string) => /^(PATH|HOME|LANG)$|^HOTCONF_/.test(name);
  return Object.fromEntries(Object.entries(env).filter(([name]) => isPassedOn(name)));
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  // Also what its leader has left behind.
  setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs).unref();
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // Nobody is left in it.
  }
}
