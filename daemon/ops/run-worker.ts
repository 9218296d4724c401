import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';

/** What a worker may take: memory, and time. A document within the limits needs a part of either. */
export const workerMegabytes = 128;
export const workerMs = 5_000;
const atATime = pLimit(2);

/** A worker that was ended because it took too much memory, or too long. */
export class WorkerEnded extends Error {
  override name = 'WorkerEnded';
  readonly isLate: boolean;

  constructor(isLate: boolean) {
    super(`takes more than ${isLate ? `${workerMs / 1000} s` : `${workerMegabytes} MiB`}`);
    this.isLate = isLate;
  }
}

/**
 * The one message of a worker that gets this data: two at a time, each with bounds. Throws {@link WorkerEnded}, or what the
 * worker throws. One for each task: they are rare, and a worker that lives on would cost more memory than they do time.
 */
export function runWorker<Reply>(file: URL, workerData: unknown): Promise<Reply> {
  return atATime(() => {
    const worker = new Worker(file, { workerData, resourceLimits: { maxOldGenerationSizeMb: workerMegabytes } });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      void worker.terminate();
    }, workerMs).unref();
    return new Promise<Reply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new WorkerEnded(false) : error),
      );
      // After an answer this changes nothing.
      worker.once('exit', () => reject(new WorkerEnded(isLate)));
    }).finally(() => clearTimeout(timer));
  });
}

/** A worker's file: beside its caller in the sources; in the build, whose other files are all in its `daemon` folder, where it was built to. */
export function workerFile(room: string, name: string, caller: ImportMeta): URL {
  return new URL(caller.filename.endsWith('.ts') ? `./${name}.ts` : `./${room}/${name}.js`, caller.url);
}
