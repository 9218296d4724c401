import { GuardedParser, IPCProtocolError, type IpcConfig } from 'node-ipc';
import {
  decodeFrame,
  encodeFrame,
  FrameError,
  FrameSplitter,
  maxInboundFrame,
  toDaemonEvents,
} from '../../schemas/wire.ts';

type Frame = { type: string; data: unknown };

const allowed: ReadonlySet<string> = new Set(toDaemonEvents);

/**
 * node-ipc's guarded parser with what it lacks: only our events come in, a byte that dribbles in costs no second look
 * at those before it, and what goes out has a limit of its own, the snapshot's.
 */
export class FrameParser extends GuardedParser {
  readonly onRefused: (error: FrameError) => void;

  constructor(config: IpcConfig, onRefused: (error: FrameError) => void) {
    super(config);
    this.onRefused = onRefused;
  }

  encode(type: string, data: unknown): string {
    return encodeFrame(type, data);
  }

  /** node-ipc keeps what is returned and hands it back; an empty text tells it that no frame is unfinished. */
  read(kept: FrameSplitter | '', piece: string, receive: (frame: Frame) => void): FrameSplitter | '' {
    const splitter = kept || new FrameSplitter(maxInboundFrame);
    try {
      for (const text of splitter.push(piece)) receive(decodeKnown(text));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.onRefused(error);
      throw new IPCProtocolError('ERR_HOTCONF_FRAME', error.message);
    }
    return splitter.pending > 0 ? splitter : '';
  }
}

function decodeKnown(text: string): Frame {
  const frame = decodeFrame(text);
  if (!allowed.has(frame.type)) throw new FrameError('a frame has an unknown type');
  return frame;
}
