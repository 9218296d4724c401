import { expect } from 'chai';
import { collectWarnings, takeWarnings } from './warnings.ts';

// There is no metadata server on this machine, and looking for one takes seconds and warns.
process.env.METADATA_SERVER_DETECTION ??= 'none';
collectWarnings();

/** Mocha runs these around every test of every file. */
export const mochaHooks = {
  afterEach(): void {
    expect(takeWarnings(), 'warnings that the test does not expect').deep.equal([]);
  },
};
