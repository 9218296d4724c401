import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { decodeFrame, encodeFrame, FrameSplitter } from '../schemas/wire.ts';
import { ClientError } from './errors.ts';
import type { Transport } from './transport.ts';

/** Until the welcome tells the daemon's limit. */
const firstFrameLimit = 1024 * 1024;

/**
 * node-ipc's frames over a Unix socket, by `node:net` alone. `mayServe` says of a user's number whether a daemon of that
 * user is to be believed; a connection to any other ends with `ClientError` `refused` before anything is said.
 */
export function socketTransport(path: string, mayServe: (uid: number) => boolean): Transport {
  return ({ onOpen, onFrame, onClose }) => {
    const splitter = new FrameSplitter(firstFrameLimit);
    let failure: Error | undefined;
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      failure = untrusted(path, mayServe);
      if (failure) socket.destroy();
      else onOpen();
    });
    socket.on('error', (error) => {
      failure ??= error;
    });
    socket.on('close', () => onClose(failure));
    socket.on('data', (piece: string) => {
      try {
        for (const text of splitter.push(piece)) {
          // What stands behind the frame that ended a session is not for it.
          if (socket.destroyed) return;
          const { type, data } = decodeFrame(text);
          onFrame(type, data);
        }
      } catch (error) {
        failure = error as Error;
        socket.destroy();
      }
    });
    return {
      send: (type, data) => void socket.write(encodeFrame(type, data)),
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
      setFrameLimit: (bytes) => {
        splitter.limit = bytes;
      },
    };
  };
}

/** Tells one socket at a path from the next; empty where there is none. */
export function socketMark(path: string): string {
  try {
    const { ino, ctimeMs } = statSync(path);
    return `${ino} ${ctimeMs}`;
  } catch {
    return '';
  }
}

/** Who owns the socket made it, and who owns its folder could have put another one there. */
function untrusted(path: string, mayServe: (uid: number) => boolean): ClientError | undefined {
  for (const place of [path, dirname(path)]) {
    const uid = statSync(place, { throwIfNoEntry: false })?.uid;
    if (uid === undefined || mayServe(uid)) continue;
    const mend = 'set daemonUid or HOTCONF_DAEMON_UID if that is the daemon';
    return new ClientError('refused', `${place} belongs to uid ${uid}, which is neither root nor this user (${mend})`);
  }
  return undefined;
}
