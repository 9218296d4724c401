import { Command, CommanderError } from 'commander';
import { DaemonError } from '../model/errors.ts';
import { readVersion } from '../ops/version.ts';
import type { Io, SharedOptions } from './io.ts';

/** Runs one command line and returns its exit code. Each command is loaded only when it is called. */
export async function runCommandLine(args: readonly string[], io: Io = process): Promise<number> {
  let exitCode = 0;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  // The timers of daemon and clients keep no process alive, and a command is not over before it has answered.
  const hold = setInterval(() => {}, 2 ** 30);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Help and version end by an error too; commander has printed all that there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
    return tell(error, io);
  } finally {
    clearInterval(hold);
  }
}

function tell(error: unknown, io: Io): number {
  if (error instanceof DaemonError) {
    for (const { path, message } of error.facts.issues ?? [])
      io.stderr.write(`  ${path ? `${path}: ` : ''}${message}\n`);
    io.stderr.write(`hotconf: ${error.message}\n`);
    return error.exitCode;
  }
  io.stderr.write(`${(error as Error).stack}\nhotconf: this is a bug, please report it: ${(error as Error).message}\n`);
  return 70;
}

function createProgram(io: Io, setExitCode: (code: number) => void): Command {
  const program = new Command('hotconf')
    .description('Keeps the settings and secrets of running programs current, without a restart')
    .version(readVersion())
    .option('--config <file>', 'the options file')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError('(see hotconf --help)');
  const add = (
    usage: string,
    description: string,
    run: (options: SharedOptions, command: Command) => Promise<number>,
  ) =>
    program
      .command(usage)
      .description(description)
      .option('--config <file>', 'the options file')
      .exitOverride()
      .copyInheritedSettings(program)
      .action(async (...args) => {
        const command = args.at(-1) as Command;
        setExitCode(await run(command.optsWithGlobals(), command));
      });

  add('start', 'runs the daemon in the foreground', async (options) => (await import('./start.ts')).start(options, io));
  add('status', 'what is served, from where, and to whom', async (options) =>
    (await import('./status.ts')).status(options, io),
  ).option('--json', 'as JSON');
  add('get [path]', 'the current settings, or one of them', async (options, { args }) =>
    (await import('./get.ts')).get({ ...options, path: args[0] }, io),
  )
    .option('--reveal', 'show secret values')
    .option('--json', 'as JSON')
    .option('--socket <socket>', "the view's socket");
  add('watch [paths...]', 'follows changes', async (options, { args }) =>
    (await import('./watch.ts')).watch({ ...options, paths: args }, io),
  )
    .option('--json', 'one JSON document a line')
    .option('--changes-only', 'not what was rejected, nor how the sources are')
    .option('--socket <socket>', "the view's socket");
  add('reload', 'reads every source again', async (options) => (await import('./reload.ts')).reload(options, io))
    .option('--reason <text>', 'why, for the history')
    .option('--dry-run', 'tell what would change and what the programs say of it, and change nothing')
    .option('--accept-missing', 'let settings go whose sources do not give them any more')
    .option('--no-verify', 'commit without asking the programs that verify changes')
    .option('--json', 'as JSON');
  add('rollback <revision>', 'serves the content of an earlier revision, and pins it', async (options, { args }) =>
    (await import('./rollback.ts')).rollback({ ...options, revision: args[0]! }, io),
  )
    .option('--expect <revision>', 'only when this revision is served now')
    .option('--force', 'do not ask the programs first')
    .option('--reason <text>', 'why, for the history')
    .option('--json', 'as JSON');
  add('unpin', 'lets the sources flow again', async (options) => (await import('./rollback.ts')).unpin(options, io))
    .option('--reason <text>', 'why, for the history')
    .option('--json', 'as JSON');
  add('rotate <secret>', 'replaces a secret everywhere, or takes the new value back', async (options, { args }) =>
    (await import('./rotate.ts')).rotate({ ...options, secret: args[0]! }, io),
  )
    .option('--data-file <file>', 'the new content; - is stdin')
    .option('--generate <length>', 'make a new content of so many characters')
    .option('--at <path>', 'where in the settings: one part of a JSON secret')
    .option('--json', 'as JSON');
  add('validate', 'loads, merges and validates without a daemon', async (options) =>
    (await import('./validate.ts')).validate(options, io),
  )
    .option('--live', 'ask the running daemon, and its programs')
    .option('--json', 'as JSON');
  add(
    'audit [action]',
    'who did what; verify: is the audit log as it was written?',
    async (options, { args, error }) => {
      if (args[0] !== undefined && args[0] !== 'verify') error("there is one action: 'verify'");
      const { showAudit, verifyAudit } = await import('./audit.ts');
      return (args[0] === 'verify' ? verifyAudit : showAudit)(options, io);
    },
  )
    .option('--limit <count>', 'so many records, the newest; 100 where it is not given')
    .option('--anchor <text>', 'with verify: a line audit_anchor of the journal, which must fit')
    .option('--key-file <file>', "the key, where it is not in the state folder: the daemon's credential audit-key")
    .option('--json', 'as JSON');
  add('ready', 'for probes: exit code 0 when programs are served', async (options) =>
    (await import('./ready.ts')).ready(options, io),
  )
    .option('--live', 'when the daemon answers at all')
    .option('--json', 'as JSON');
  add('doctor', 'looks at everything that a daemon needs, and says how to mend it', async (options) =>
    (await import('./doctor.ts')).doctor(options, io),
  ).option('--json', 'as JSON');
  add('explain <path>', 'where a setting comes from', async (options, { args }) =>
    (await import('./explain.ts')).explain({ ...options, path: args[0]! }, io),
  ).option('--json', 'as JSON');
  add('history', 'reloads: when, why, what, and how they ended', async (options) =>
    (await import('./history.ts')).history(options, io),
  ).option('--json', 'as JSON');
  return program;
}
