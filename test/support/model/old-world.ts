import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { connect } from '../../../client/connect.ts';
import { until } from '../until.ts';
import { parts } from './content.ts';
import { ModelDaemon } from './model-daemon.ts';

setFlagsFromString('--expose_gc');
const collect: () => void = runInNewContext('gc');

/**
 * Edits one file again and again below a daemon that logs at this level, and returns how many bytes of heap each edit of
 * the second half has left behind.
 */
export async function heapPerEdit(level: string, edits: number, bytes: number): Promise<number> {
  const options = {
    sources: { files: [{ path: './secrets' }] },
    reload: { quiet: '50ms', startWait: '0s' },
    lastKnownGood: { keep: 2 },
  };
  const test = new ModelDaemon({ options, env: {}, level, onLog: () => {}, onCrash: () => {} });
  const write = (serial: number) => {
    for (const part of parts) {
      const token = `${part}-${serial}-${Math.random()
        .toString(36)
        .repeat(Math.ceil(bytes / 36))}`;
      test.scratch.write(`secrets/${part}.json`, JSON.stringify({ [part]: { token, twin: token, serial } }));
    }
  };
  write(0);
  await test.start();
  const config = await connect<{ first: { serial: number } }>({ socket: test.socket('default') });
  let half = 0;
  for (let serial = 1; serial <= edits; serial++) {
    write(serial);
    await until('the edit is there', () => config.settings.first.serial === serial);
    if (serial === edits / 2) half = heapNow();
  }
  const grown = heapNow() - half;
  await config.close();
  await test.stop();
  test.scratch.remove();
  return grown / (edits / 2);
}

/** Bytes of heap that are in use once what is not has been collected. */
export function heapNow(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
