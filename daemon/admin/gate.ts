import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TokenBucket } from 'limiter';
import type { Operator } from '../observe/happenings.ts';
import type { Role } from '../ops/admin-options.ts';
import type { Endpoint } from '../ops/gcp-options.ts';
import type { PeerOf } from '../serve/peer.ts';
import type { TokenBook } from './token-book.ts';

/** What a route asks of who calls it; `public`: nothing. */
export type Access = Role | 'public';

/** Why a request goes no further. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal that is thrown. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Decides who comes in. Each face of the interface has its own. */
export interface Gate {
  /** For the log. */
  readonly name: string;
  admit(request: IncomingMessage, access: Access): Admission;
}

/** Who comes in, or why not. */
export interface Admission {
  /** `undefined` where nobody is asked. */
  readonly operator?: Operator;
  readonly refusal?: Refusal;
}

/** Tokens that may be guessed wrong in a minute, before wrong ones are not even looked at. */
const wrongTokens = 10;

/** The Unix socket: whoever may open it may do everything; the kernel says who it is. */
export class SocketGate implements Gate {
  readonly name = 'socket';
  readonly #peerOf: PeerOf;

  constructor(peerOf: PeerOf) {
    this.#peerOf = peerOf;
  }

  admit(request: IncomingMessage): Admission {
    const refusal = relayed(request) ?? foreign(request);
    return refusal ? { refusal } : { operator: this.#operator(request.socket) };
  }

  #operator(socket: Socket): Operator {
    const peer = this.#peerOf(socket);
    return peer
      ? { name: `uid ${peer.uid}`, role: 'admin', uid: peer.uid, pid: peer.pid }
      : { name: 'operator', role: 'admin' };
  }
}

/** For metrics and probes, which tell names and numbers: whoever can reach the address is let in. */
export class OpenGate implements Gate {
  readonly name = 'metrics';

  admit(): Admission {
    return {};
  }
}

/** Loopback TCP: every program and every web page on the host can reach it, so that it asks for a token. */
export class TokenGate implements Gate {
  readonly name = 'http';
  readonly #tokens: TokenBook;
  readonly #hosts: ReadonlySet<string>;
  readonly #wrong = new TokenBucket({ bucketSize: wrongTokens, tokensPerInterval: wrongTokens, interval: 'minute' });

  constructor(tokens: TokenBook, { host, port }: Endpoint) {
    this.#tokens = tokens;
    const names = new Set(
      [host, '127.0.0.1', 'localhost', '::1'].map((name) => (name.includes(':') ? `[${name}]` : name)),
    );
    this.#hosts = new Set([...names].flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])));
    this.#wrong.content = wrongTokens;
  }

  admit(request: IncomingMessage, access: Access): Admission {
    const { host = '', authorization } = request.headers;
    if (!this.#hosts.has(host.toLowerCase())) {
      const message = `this is not the host that was asked for; ask for ${[...this.#hosts][0]}`;
      return { refusal: { status: 421, code: 'wrong_host', message } };
    }
    const refusal = relayed(request) ?? foreign(request);
    if (refusal) return { refusal };
    if (access === 'public') return {};
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const bearer = token === undefined ? undefined : this.#tokens.bearerOf(token);
    if (!bearer) return { refusal: this.#unknown(authorization) };
    if (access === 'admin' && bearer.role !== 'admin') {
      const message = `the token ${bearer.name} may look, and not change anything`;
      return { operator: bearer, refusal: { status: 403, code: 'role_too_low', message } };
    }
    return { operator: bearer };
  }

  #unknown(authorization: string | undefined): Refusal {
    const challenge = { 'www-authenticate': 'Bearer realm="hotconf"' };
    if (authorization === undefined)
      return {
        status: 401,
        code: 'no_token',
        message: 'show a token: Authorization: Bearer <token>',
        headers: challenge,
      };
    if (this.#wrong.tryRemoveTokens(1))
      return {
        status: 401,
        code: 'unknown_token',
        message: 'this token is not known',
        headers: { 'www-authenticate': `${challenge['www-authenticate']}, error="invalid_token"` },
      };
    return tooMany('too many wrong tokens', this.#wrong);
  }
}

/** 429, with the time until the bucket gives again. */
export function tooMany(message: string, bucket: TokenBucket): Refusal {
  const seconds = String(Math.max(1, Math.ceil(bucket.getWaitTime(1) / 1000)));
  return {
    status: 429,
    code: 'rate_limited',
    message: `${message}; try again in ${seconds} s`,
    headers: { 'retry-after': seconds },
  };
}

/** RFC 9112, section 3.2: one Host, and it says the same as the request's target, which is a path here. */
export function malformed({ rawHeaders, url = '' }: IncomingMessage): Refusal | undefined {
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  const bad = (message: string) => ({ status: 400, code: 'bad_request', message });
  if (hosts > 1) return bad('there is more than one Host header; send one');
  return url.startsWith('/') ? undefined : bad('the target of a request is a path here, such as /admin/summary');
}

/** A relay would have everybody come from this host. */
function relayed({ headers }: IncomingMessage): Refusal | undefined {
  const told = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via'];
  const found = told.find((name) => headers[name] !== undefined);
  return found === undefined
    ? undefined
    : {
        status: 400,
        code: 'relayed',
        message: `the header ${found} says that this was passed on; ask the daemon itself`,
      };
}

/** A page of another site, in a browser on this host. */
function foreign({ headers, url, method }: IncomingMessage): Refusal | undefined {
  const { origin, host, 'sec-fetch-site': site = 'none', 'sec-fetch-mode': mode } = headers;
  // Following a link to the page shows nothing that a token is asked for.
  const isVisit = mode === 'navigate' && method === 'GET' && url === '/';
  const isOwn = origin === undefined || origin === `http://${host}`;
  if (isOwn && (isVisit || site === 'none' || site === 'same-origin')) return undefined;
  return { status: 403, code: 'cross_origin', message: 'this comes from a page of another origin' };
}
