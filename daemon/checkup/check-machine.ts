import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { spareDescriptors } from '../ops/descriptors.ts';
import type { Options } from '../ops/options.ts';
import { kernelPeers } from '../serve/peer.ts';
import { type Finding, fail, look, ok, warn } from './finding.ts';

/** Below that, one folder of a build tool takes all of them. */
const fewWatches = 8_192;
const fewInstances = 64;

/** The machine and what runs on it: Node, packages, limits of the kernel, the clock. */
export function checkMachine(options: Options): Finding[] {
  const checks: readonly [string, () => Finding][] = [
    ['node', () => checkNode()],
    ['node-ipc', () => checkNodeIpc()],
    ['inotify', () => checkInotify()],
    ['descriptors', () => checkDescriptors(options)],
    ['peers', () => checkPeers(options)],
    ['clock', () => checkClock(options)],
  ];
  return checks.flatMap(([name, check]) => look(name, check));
}

function checkNode(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > 22 || (major === 22 && minor >= 22);
  return isNew
    ? ok('node', `Node ${version}`)
    : fail('node', `Node ${version} is too old`, 'install Node 22.22 or newer');
}

/** Versions that were sabotaged or stolen from: CVE-2022-23812 and MAL-2026-3744. */
const badNodeIpc = /^(9\.1\.6|9\.2\.[23]|10\.1\.[1-3]|11\.[01]\.0|12\.0\.1)$/;

function checkNodeIpc(): Finding {
  const { version } = JSON.parse(readFileSync(findPackageJSON('node-ipc', import.meta.url)!, 'utf8')) as {
    version: string;
  };
  if (badNodeIpc.test(version))
    return fail(
      'node-ipc',
      `node-ipc ${version} is one of the sabotaged versions`,
      'npm install node-ipc@14.0.0, and look for what it has done',
    );
  return version === '14.0.0'
    ? ok('node-ipc', 'node-ipc 14.0.0, which was read')
    : warn('node-ipc', `node-ipc ${version} is not the version that was read`, 'npm install node-ipc@14.0.0');
}

function checkInotify(): Finding {
  const [watches, instances] = ['max_user_watches', 'max_user_instances'].map((name) =>
    readNumber(`/proc/sys/fs/inotify/${name}`),
  );
  if (watches === undefined || instances === undefined)
    return warn(
      'inotify',
      'the limits cannot be read',
      'nothing, where this is not Linux; files are polled if need be',
    );
  const told = `${watches} watches and ${instances} instances for each user`;
  return watches >= fewWatches && instances >= fewInstances
    ? ok('inotify', told)
    : warn(
        'inotify',
        `${told}: when they run out, files are polled`,
        'sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=512',
      );
}

function checkDescriptors({ limits }: Options): Finding {
  const spare = spareDescriptors();
  return spare >= limits.clients
    ? ok('descriptors', `file descriptors for limits.clients of ${limits.clients}`)
    : warn(
        'descriptors',
        `file descriptors for ${spare} programs, and limits.clients is ${limits.clients}`,
        `ulimit -n ${limits.clients + 80}, or LimitNOFILE= in the service`,
      );
}

function checkPeers({ peerAuth, views }: Options): Finding {
  if (peerAuth === 'off') return warn('peers', 'peerAuth is off: nobody knows who connects', 'peerAuth: preferred');
  if (kernelPeers()) return ok('peers', 'the kernel says who connects');
  const mend = 'npm install koffi';
  const isNeeded = peerAuth === 'required' || views.some(({ allow }) => allow);
  return isNeeded
    ? fail('peers', 'the options need to know who connects, and koffi is not there', mend)
    : warn('peers', 'who connects is not known: koffi is not there', mend);
}

/** Time that was seen by this machine before cannot be to come. */
function checkClock({ stateDir, file }: Options): Finding {
  const ahead = [file, ...listed(stateDir)].filter((path) => changedAt(path) > Date.now() + 60_000);
  return ahead.length === 0
    ? ok('clock', new Date().toISOString())
    : warn('clock', `${ahead[0]} is from the future: the clock was put back, or is wrong`, 'timedatectl set-ntp true');
}

/** 0 for a file that is gone by now. */
function changedAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
