import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

// A stand-in for a database: it lets in who sends its password. A new one is given to it line by line on stdin.
let password = process.argv[2] ?? '';
createInterface({ input: process.stdin }).on('line', (line) => {
  password = line;
  console.log('has a new password');
});
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', (sent) => socket.end(String(sent) === password ? 'welcome' : 'password authentication failed'));
});
server.listen(Number(process.argv[3]), '127.0.0.1', () => console.log('is up'));
