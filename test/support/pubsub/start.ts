import { emulatorProgram, startEmulator } from './emulator.ts';
import type { PubsubServer } from './pubsub-server.ts';
import { startStandIn } from './stand-in.ts';

/** The official emulator where it is installed, or else the stand-in; on this port when one is given. */
export function startPubsub(port?: number): Promise<PubsubServer> {
  return emulatorProgram() ? startEmulator(port) : startStandIn(port);
}
