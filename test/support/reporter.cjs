'use strict';
const { reporters } = require('mocha');

/** Dots, and at the end one list of what did not run and why. */
module.exports = class Reporter extends reporters.Dot {
  constructor(runner, options) {
    super(runner, options);
    const skipped = [];
    runner.on('pending', (test) => skipped.push(test.fullTitle()));
    runner.once('end', () => {
      if (skipped.length === 0) return;
      console.log(`  skipped: ${skipped.length} tests`);
      for (const title of skipped) console.log(`    ${title}`);
      console.log('');
    });
  }
};
