import { emulatorProgram, startEmulator } from '../support/pubsub/emulator.ts';
import { startStandIn } from '../support/pubsub/stand-in.ts';
import { skipBecause } from '../support/skip.ts';
import { pubsubContract } from './pubsub-contract.ts';

describe('Pub/Sub: the stand-in for the emulator', () => pubsubContract(() => startStandIn()));

describe('Pub/Sub: the official emulator', () => {
  if (emulatorProgram()) pubsubContract(() => startEmulator());
  else
    it('holds the contract', function () {
      skipBecause(this, 'the Pub/Sub emulator of the Google Cloud CLI is not installed');
    });
});
