// One program that reads one snapshot, with the built client or from a bare socket. Prints resident MB and milliseconds
// from just before the import until the settings are there. Its daemon is a few lines in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';

const [kind, dist] = process.argv.slice(2);
const path = `/tmp/hc-one-${process.pid}`;
const settings = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key${i}`, `value-${i}`]));
const frame = (type, data) => `${JSON.stringify({ type, data })}\f`;

if (kind === 'serve') {
  const { createServer } = await import('node:net');
  const limits = { inboundFrame: 65536, outboundFrame: 1e7, heartbeatMs: 15000 };
  const head = {
    nonce: 'n',
    epoch: 'e',
    revision: 1,
    digest: '0'.repeat(16),
    committedAt: new Date().toISOString(),
    cause: 'start',
    changed: [],
    removed: [],
  };
  const welcome = {
    protocol: 1,
    session: 's',
    epoch: 'e',
    revision: 1,
    resume: 'full',
    limits,
    view: 'default',
    state: {},
  };
  createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(frame('welcome', welcome) + frame('snapshot', { ...head, settings })));
  }).listen(dist, () => process.send('ready'));
} else {
  const server = fork(import.meta.filename, ['serve', path]);
  await once(server, 'message');
  const started = performance.now();
  if (kind === 'hotconf') {
    const { connect } = await import(dist);
    await connect({ socket: path });
  } else {
    const { connect } = await import('node:net');
    const socket = connect(path).setEncoding('utf8');
    socket.write(frame('hello', {}));
    let text = '';
    for await (const piece of socket) {
      text += piece;
      if (text.split('\f').length < 3) continue;
      JSON.parse(text.split('\f')[1]);
      break;
    }
  }
  const time = performance.now() - started;
  console.log(process.memoryUsage.rss() / 1e6, time);
  server.kill();
  rmSync(path, { force: true });
  process.exit();
}
