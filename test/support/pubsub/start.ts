import { emulatorProgram, startEmulator } from './emulator.ts';
import type { PubsubServer } from './pubsub-server.ts';
import { startStandIn } from './stand-in.ts';

// Google's libraries would look for a metadata server, which is not on this machine.
process.env.METADATA_SERVER_DETECTION = 'none';

/** The official emulator where it is installed, or else the stand-in; on this port when one is given. */
export function startPubsub(port?: number): Promise<PubsubServer> {
  return emulatorProgram() ? startEmulator(port) : startStandIn(port);
}
