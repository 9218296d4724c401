import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { connect } from '../../client/index.ts';

interface App {
  database: { port: number; password: string };
}

// A program that tries a new password before it, or anybody, runs by it.
async function logIn({ port, password }: App['database'], signal?: AbortSignal): Promise<void> {
  const socket = dial({ port, host: '127.0.0.1', ...(signal && { signal }) });
  socket.write(password);
  const [answer] = await once(socket, 'data');
  if (String(answer) !== 'welcome') throw new Error(String(answer));
}

const config = await connect<App>({ name: 'billing', verify: ({ database }, signal) => logIn(database, signal) });
console.log(`connected, revision ${config.snapshot.revision}`);
config.watch('database.password', () => console.log('has a new password that works'));
