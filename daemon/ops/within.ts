import { type Context, createContext, Script } from 'node:vm';

const script = new Script('task()');
let context: Context | undefined;

/** The result of a synchronous task; `'late'` when it was stopped after so many milliseconds, wherever it was. */
export function within<Result>(ms: number, task: () => Result): Result | 'late' {
  // Made at its first use: it takes memory, and most daemons need none.
  context ??= createContext();
  context.task = task;
  try {
    return script.runInContext(context, { timeout: ms });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return 'late';
    throw error;
  } finally {
    context.task = undefined;
  }
}
