import { connect } from '../../client/index.ts';

// Holds many programs that do nothing.
const [socket, count] = process.argv.slice(2) as [string, string];
for (let opened = 0; opened < Number(count); opened += 50) {
  await Promise.all(Array.from({ length: 50 }, () => connect({ socket, timeoutMs: 20_000 })));
}
process.send!('ready');
