import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { ownAccount } from './accounts.ts';
import { folderProblem } from './folder-access.ts';

/**
 * Makes the folder of the sockets, or checks the one that is there: a real folder, ours or root's, that nobody else can
 * write to. Its mode is 0750 unless another is given; where views have a group it is that group's and 2750; where they have several, others may
 * pass through it (2751), for each socket has its own group. Throws `cannot_create` or `not_permitted`.
 */
export function prepareRuntimeFolder(folder: string, gids: readonly number[] = [], mode = 0o750): void {
  const [gid] = gids;
  try {
    if (!lstatSync(folder, { throwIfNoEntry: false })) {
      mkdirSync(dirname(folder), { recursive: true });
      mkdirSync(folder, { mode });
      if (gid !== undefined) chownSync(folder, -1, gid);
      if (gid !== undefined) chmodSync(folder, gids.some((other) => other !== gid) ? 0o2751 : 0o2750);
    }
  } catch (error) {
    const mend = 'choose another runtimeDir, or make the folder yourself with mode 0750';
    throw new DaemonError('cannot_create', `the runtime folder cannot be made: ${systemCode(error)}`, {
      subject: folder,
      mend,
    });
  }
  const problem = folderProblem(folder, ownAccount());
  if (problem)
    throw new DaemonError('not_permitted', `the runtime folder ${problem.what}`, {
      subject: folder,
      mend: problem.mend,
    });
}
