import { connect } from 'node:net';
import { decodeFrame, encodeFrame, FrameSplitter } from '../schemas/wire.ts';
import type { Transport } from './transport.ts';

/** Until the welcome tells the daemon's limit. */
const firstFrameLimit = 1024 * 1024;

/** node-ipc's frames over a Unix socket, by `node:net` alone. */
export function socketTransport(path: string): Transport {
  return ({ onOpen, onFrame, onClose }) => {
    const splitter = new FrameSplitter(firstFrameLimit);
    let failure: Error | undefined;
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.on('connect', onOpen);
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
