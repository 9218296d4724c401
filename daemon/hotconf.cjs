#!/usr/bin/env node
'use strict';
// In old syntax, for it has to run on every Node: an old one is to be told, in one sentence.
var flags = [
  // No signal opens a debugger.
  '--disable-sigusr1',
  // Of node:sqlite.
  '--disable-warning=ExperimentalWarning',
  // Half the memory of a process that is idle nearly always.
  '--max-semi-space-size=1',
  '--no-maglev',
];
var have = process.versions.node.split('.').map(Number);

if (have[0] < 22 || (have[0] === 22 && have[1] < 22)) {
  process.stderr.write(
    'hotconf needs Node 22.22 or newer; this is ' + process.versions.node + ' (' + process.execPath + ')\n',
  );
  process.exitCode = 78;
} else if (process.argv.indexOf('start') > 0 && flags.some(isMissing) && mayReplace()) {
  // The same process goes on, so that signals and the process id stay those of the daemon.
  quietly(function () {
    var args = process.execArgv.concat(flags.filter(isMissing), [__filename], process.argv.slice(2));
    process.execve(process.execPath, [process.execPath].concat(args), process.env);
  });
} else {
  quietly(function () {
    import('../dist/daemon/main.js');
  });
}

function isMissing(flag) {
  return process.execArgv.indexOf(flag) < 0;
}

// Where children are forbidden, so is this; then the flags are for who starts Node to give.
function mayReplace() {
  return process.execve !== undefined && (!process.permission || process.permission.has('child'));
}

// That a part of Node is new concerns nobody who only uses the command.
function quietly(run) {
  var warn = process.emitWarning;
  process.emitWarning = function (warning, options) {
    if ((options && options.type ? options.type : options) === 'ExperimentalWarning') return;
    warn.apply(process, arguments);
  };
  run();
}
