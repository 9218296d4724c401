import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

/** A way in which people and tools change a file in a folder. */
export interface WayToChange {
  readonly name: string;
  /** A program that has to be installed for it. */
  readonly needs?: string;
  /** Lays the folder out before the daemon looks at it. */
  readonly prepare?: (file: string, content: string) => void;
  /** Changes the file to this content. */
  readonly change: (file: string, content: string) => void;
}

const run = (command: string, args: readonly string[], cwd?: string) =>
  execFileSync(command, args, { stdio: 'pipe', ...(cwd && { cwd }) });

/** Whether a program is installed. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

let serial = 0;
const beside = (file: string) => join(dirname(file), `.new-${++serial}`);

export const waysToChange: readonly WayToChange[] = [
  { name: 'a write in place', change: (file, content) => writeFileSync(file, content) },
  {
    name: 'a rename over it',
    change: (file, content) => {
      const temporary = beside(file);
      writeFileSync(temporary, content, { mode: 0o600 });
      renameSync(temporary, file);
    },
  },
  {
    name: 'a write in two steps',
    change: (file, content) => {
      const handle = openSync(file, 'w');
      writeSync(handle, content.slice(0, 5));
      writeSync(handle, content.slice(5));
      closeSync(handle);
    },
  },
  {
    name: 'vim',
    needs: 'vim',
    change: (file, content) => {
      const script = beside(file);
      writeFileSync(script, content);
      run('vim', ['-u', 'NONE', '-es', '-c', '%d', '-c', `0read ${script}`, '-c', 'wq', file]);
      unlinkSync(script);
    },
  },
  {
    name: 'vim with a backup copy',
    needs: 'vim',
    change: (file, content) => {
      const script = beside(file);
      writeFileSync(script, content);
      run('vim', [
        '-u',
        'NONE',
        '-es',
        '-c',
        'set backup backupcopy=no writebackup',
        '-c',
        '%d',
        '-c',
        `0read ${script}`,
        '-c',
        'wq',
        file,
      ]);
      unlinkSync(script);
      rmSync(`${file}~`, { force: true });
    },
  },
  {
    name: 'sed -i',
    change: (file, content) => void run('sed', ['-i', `1c\\${content.trimEnd().replaceAll('\n', '\\n')}`, file]),
  },
  {
    name: 'cp',
    change: (file, content) => {
      const other = beside(file);
      writeFileSync(other, content);
      run('cp', [other, file]);
      unlinkSync(other);
    },
  },
  {
    name: 'a removal and a new file',
    change: (file, content) => {
      unlinkSync(file);
      writeFileSync(file, content, { mode: 0o600 });
    },
  },
  {
    name: 'git checkout',
    prepare: (file, content) => {
      const folder = dirname(file);
      const git = (...args: string[]) =>
        run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.test', ...args], folder);
      writeFileSync(file, content, { mode: 0o600 });
      git('init', '-q', '-b', 'main');
      git('add', '.');
      git('commit', '-qm', 'first');
    },
    change: (file, content) => {
      const folder = dirname(file);
      const git = (...args: string[]) =>
        run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.test', ...args], folder);
      // The commit is made without touching the work tree; only the checkout does.
      const blob = execFileSync('git', ['hash-object', '-w', '--stdin'], {
        cwd: folder,
        input: content,
        encoding: 'utf8',
      }).trim();
      git('update-index', '--cacheinfo', `100600,${blob},${basename(file)}`.replace('100600', '100644'));
      const tree = execFileSync('git', ['write-tree'], { cwd: folder, encoding: 'utf8' }).trim();
      const commit = execFileSync(
        'git',
        ['-c', 'user.name=t', '-c', 'user.email=t@example.test', 'commit-tree', tree, '-p', 'HEAD', '-m', 'next'],
        { cwd: folder, encoding: 'utf8' },
      ).trim();
      git('checkout', '-qf', commit);
    },
  },
  {
    name: 'a Kubernetes swap of ..data',
    prepare: kubernetesSwap,
    change: kubernetesSwap,
  },
  {
    name: 'a Kubernetes swap that keeps the old folder',
    prepare: (file, content) => kubernetesSwap(file, content, true),
    change: (file, content) => kubernetesSwap(file, content, true),
  },
  {
    name: 'the whole folder replaced',
    change: (file, content) => {
      const folder = dirname(file);
      const next = `${folder}.next-${++serial}`;
      cpSync(folder, next, { recursive: true });
      writeFileSync(join(next, basename(file)), content, { mode: 0o600 });
      renameSync(folder, `${folder}.old-${serial}`);
      renameSync(next, folder);
    },
  },
  {
    name: 'a folder link pointed elsewhere',
    prepare: (file, content) => {
      const folder = dirname(file);
      if (existsSync(folder)) renameSync(folder, `${folder}.first`);
      else mkdirSync(`${folder}.first`);
      writeFileSync(join(`${folder}.first`, basename(file)), content, { mode: 0o600 });
      symlinkSync(`${folder}.first`, folder);
    },
    change: (file, content) => {
      const folder = dirname(file);
      const next = `${folder}.release-${++serial}`;
      cpSync(readlinkSync(folder), next, { recursive: true });
      writeFileSync(join(next, basename(file)), content, { mode: 0o600 });
      const link = `${folder}.link-${serial}`;
      symlinkSync(next, link);
      renameSync(link, folder);
    },
  },
  {
    name: 'a copy that keeps size and times',
    change: (file, content) => {
      const other = beside(file);
      writeFileSync(other, content, { mode: 0o600 });
      run('touch', ['-r', file, other]);
      run('cp', ['-p', other, file]);
      unlinkSync(other);
    },
  },
  {
    name: 'a copy from another folder',
    change: (file, content) => {
      const other = `${dirname(file)}.copy-${++serial}`;
      writeFileSync(other, content);
      copyFileSync(other, file);
      unlinkSync(other);
    },
  },
];

/** As the kubelet does it: a new dated folder, and one rename of the link `..data` to it. */
function kubernetesSwap(file: string, content: string, keepsOld = false): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true });
  const dated = `..2026_${++serial}`;
  mkdirSync(join(folder, dated));
  writeFileSync(join(folder, dated, basename(file)), content, { mode: 0o600 });
  const data = join(folder, '..data');
  const old = existsSync(data) ? readlinkSync(data) : undefined;
  symlinkSync(dated, `${data}_tmp`);
  renameSync(`${data}_tmp`, data);
  if (old === undefined) {
    rmSync(file, { force: true });
    symlinkSync(join('..data', basename(file)), file);
  } else if (!keepsOld) rmSync(join(folder, old), { recursive: true });
}
