import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the daemon answers
  readonly body: any;
}

/** Posts JSON to a route of an HTTP server on a Unix socket. */
export async function askSocket(socketPath: string, path: string, body: object): Promise<Answer> {
  const { status, text } = await exchange(socketPath, path, JSON.stringify(body));
  return { status, body: JSON.parse(text) };
}

/** Gets a route of an HTTP server on a Unix socket, as text. */
export async function readSocket(socketPath: string, path: string): Promise<string> {
  return (await exchange(socketPath, path)).text;
}

function exchange(socketPath: string, path: string, body?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    const asked = request({ socketPath, path, method, headers }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode!, text });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}
