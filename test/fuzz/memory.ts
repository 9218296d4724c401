import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const warmUp = 3;
const minSamples = 5;
const maxGrowthBytes = 64 * 1024 * 1024;

/** Bytes that are held when everything is collected that can be. */
export function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The bytes by which samples have grown where they look as if they never stopped; 0 otherwise. */
export function endlessGrowth(samples: readonly number[]): number {
  const late = samples.slice(warmUp);
  if (late.length < minSamples) return 0;
  const isRising = late.every((bytes, i) => i === 0 || bytes > late[i - 1]!);
  const growth = late.at(-1)! - late[0]!;
  return isRising && growth > maxGrowthBytes ? growth : 0;
}
