import { randomBytes } from 'node:crypto';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createServer } from 'node:net';
import type { TestDaemon } from './use-daemon.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the daemon answers
  readonly body: any;
}

export interface HttpAsked {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** A port of this machine on which nobody listens. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    }),
  );
}

/** The operator's HTTP of a daemon in a test, on loopback TCP with a token for each role. */
export class AdminHttp {
  readonly port: number;
  readonly tokens = { admin: randomBytes(24).toString('hex'), viewer: randomBytes(24).toString('hex') };
  readonly #test: TestDaemon;

  private constructor(test: TestDaemon, port: number) {
    this.#test = test;
    this.port = port;
    test.canaries.push(...Object.values(this.tokens));
    this.writeTokens('admin', this.tokens.admin);
    this.writeTokens('viewer', this.tokens.viewer);
    test.options.admin = {
      ...(test.options.admin as object),
      http: {
        listen: `127.0.0.1:${port}`,
        tokens: (['admin', 'viewer'] as const).map((role) => ({ file: `./${role}.token`, role, name: `the-${role}` })),
      },
    };
  }

  /** To be called before the daemon is started. */
  static async set(test: TestDaemon): Promise<AdminHttp> {
    return new AdminHttp(test, await freePort());
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  writeTokens(role: 'admin' | 'viewer', ...lines: readonly string[]): void {
    this.#test.scratch.write(`${role}.token`, lines.map((line) => `${line}\n`).join(''));
  }

  get(path: string, asked: HttpAsked = {}): Promise<HttpAnswer> {
    return askHttp({ port: this.port, host: '127.0.0.1' }, path, { token: this.tokens.viewer, ...asked });
  }

  post(path: string, body: string | object = {}, asked: HttpAsked = {}): Promise<HttpAnswer> {
    return askHttp({ port: this.port, host: '127.0.0.1' }, path, {
      method: 'POST',
      token: this.tokens.admin,
      body,
      ...asked,
    });
  }
}

export function askHttp(
  where: { readonly port: number; readonly host: string } | { readonly socketPath: string },
  path: string,
  { method = 'GET', token, headers = {}, body }: HttpAsked = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const all = {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    };
    const asked = request({ ...where, path, method, headers: all, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      const isJson = response.headers['content-type']?.startsWith('application/json');
      resolve({
        status: response.statusCode!,
        headers: response.headers,
        text,
        body: isJson && text !== '' ? JSON.parse(text) : undefined,
      });
    });
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}
