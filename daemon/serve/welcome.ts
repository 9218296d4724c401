import {
  type DaemonState,
  heartbeatMs,
  maxInboundFrame,
  type Position,
  protocolVersion,
  type Welcome,
} from '../../schemas/wire.ts';

export interface WelcomeParts {
  readonly id: string;
  readonly view: { readonly name: string };
  readonly maxFrameBytes: number;
  readonly verifyMs: number;
  readonly state: () => DaemonState;
  readonly mayRotate: boolean;
}

/** What a program is told when its hello is accepted. `hasIt`: it runs what is served at `current`. */
export function welcomeOf(
  { id, view, maxFrameBytes, verifyMs, state, mayRotate }: WelcomeParts,
  hasIt: boolean,
  current: Position | undefined,
): Welcome {
  return {
    protocol: protocolVersion,
    session: id,
    epoch: current?.epoch ?? '',
    revision: current?.revision ?? 0,
    resume: hasIt ? 'same' : 'full',
    limits: { inboundFrame: maxInboundFrame, outboundFrame: maxFrameBytes, heartbeatMs, verifyMs },
    view: view.name,
    state: state(),
    rotation: mayRotate,
  };
}
