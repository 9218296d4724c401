import type { Socket } from 'node:net';
import type { Clock } from '../ops/clock.ts';
import type { Line } from './outbox.ts';

/** A program that is said goodbye to has this long to take what it was sent. */
export const farewellMs = 2_000;

/** What a session writes to. */
export function lineTo(socket: Socket, clock: Clock, maxFrameBytes: number): Line {
  return {
    write(frame, onTaken) {
      // The last resort: before this, a program that does not take its answers is read no further.
      if (socket.writableLength > 2 * maxFrameBytes) socket.destroy();
      else socket.write(frame, onTaken);
    },
    progress: () => progressOf(socket),
    end() {
      socket.end();
      const cancel = clock.after(farewellMs, () => socket.destroy());
      socket.once('close', cancel);
    },
    destroy: () => void socket.destroy(),
  };
}

/** Node counts a write as done when all of it is; the kernel may have taken a part. */
function progressOf(socket: Socket): { taken: number; owed: number } {
  const { _handle: handle } = socket as unknown as { _handle?: { bytesWritten: number; writeQueueSize: number } };
  if (!handle) return { taken: 0, owed: 0 };
  return { taken: handle.bytesWritten - handle.writeQueueSize, owed: socket.writableLength };
}
