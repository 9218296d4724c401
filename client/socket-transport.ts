import { connect } from 'node:net';
import { decodeFrame, FrameSplitter } from '../schemas/wire.ts';
import { encodeFitted } from './fit-frame.ts';
import type { Transport } from './transport.ts';
import { distrust, type MayServe, wayIdentity } from './trusted-socket.ts';

/** Until the welcome tells the daemon's limit. */
const firstFrameLimit = 1024 * 1024;
/** Bytes that may wait for a daemon that reads nothing. */
const maxUnsent = 4 * 1024 * 1024;

/**
 * node-ipc's frames over a Unix socket, by `node:net` alone. A socket that is not believed, or that is another one or lies in
 * another folder after the connection than before, ends it with `ClientError` `refused` before anything is said.
 */
export function socketTransport(find: () => string, mayServe: MayServe): Transport {
  return ({ onOpen, onFrame, onClose }) => {
    const path = find();
    const splitter = new FrameSplitter(firstFrameLimit);
    let failure: Error | undefined;
    const before = wayIdentity(path);
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      failure = distrust(path, mayServe);
      // Another one by now: who was there before is at the other end, and was not looked at.
      if (!failure && wayIdentity(path) !== before)
        failure = new Error('the socket, or a folder on the way to it, was replaced meanwhile');
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
      send: (type, data) => {
        if (socket.writableLength > maxUnsent) socket.destroy();
        else socket.write(encodeFitted(type, data));
      },
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
      setFrameLimit: (bytes) => {
        splitter.limit = bytes;
      },
      hold: (isHeld) => void (isHeld ? socket.ref() : socket.unref()),
    };
  };
}
