import { spawn } from 'node:child_process';

export interface CommandEnd {
  /** `exit 0`, `SIGTERM`, or the system's code where it could not be started. */
  readonly how: string;
  readonly isSuccess: boolean;
}

/**
 * Runs a command without a shell to its end, or kills it after a time. Its output goes nowhere, for it might hold what
 * no log may. Never rejects.
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
    const child = spawn(command!, args, {
      env: { ...process.env, ...env },
      stdio: 'ignore',
      // Node's own `timeout` goes on running after a command that could not be started.
      signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
    });
    child.once('error', (error: NodeJS.ErrnoException) => resolve({ how: error.code ?? error.name, isSuccess: false }));
    child.once('exit', (code, killedBy) => resolve({ how: killedBy ?? `exit ${code}`, isSuccess: code === 0 }));
  });
}
