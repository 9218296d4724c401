#!/usr/bin/env -S node --disable-sigusr1 --disable-warning=ExperimentalWarning --max-semi-space-size=1 --no-maglev
import { runCommandLine } from './commands/command-line.ts';

process.exitCode = await runCommandLine(process.argv.slice(2));
