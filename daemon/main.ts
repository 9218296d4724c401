import { runCommandLine } from './commands/command-line.ts';

// Node writes the warnings of libraries to stderr as they are, and they may quote a secret; `start` logs their names.
process.removeAllListeners('warning');
process.exitCode = await runCommandLine(process.argv.slice(2));
