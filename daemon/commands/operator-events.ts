import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** An event of `GET /admin/events`. */
export interface OperatorEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: both ends are of one version
  readonly data: any;
}

const againMs = 500;

/**
 * What operators are told, for as long as the signal lasts; after a loss it is followed again. Ends at once, without a
 * word, where this user may not ask: then only what the view's programs are told is to be seen.
 */
export async function* operatorEvents(
  socketPath: string,
  signal: AbortSignal,
  onFollowing: (isFollowed: boolean) => void,
): AsyncGenerator<OperatorEvent> {
  while (!signal.aborted) {
    try {
      yield* follow(socketPath, signal, () => onFollowing(true));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') return;
    } finally {
      onFollowing(false);
    }
    await sleep(againMs, undefined, { signal }).catch(() => {});
  }
}

async function* follow(socketPath: string, signal: AbortSignal, onOpen: () => void): AsyncGenerator<OperatorEvent> {
  const { promise, resolve, reject } = Promise.withResolvers<AsyncIterable<string>>();
  const asked = request({ socketPath, path: '/admin/events', signal }, (response) => {
    resolve(response.setEncoding('utf8'));
  });
  asked.once('error', reject);
  asked.end();
  let text = '';
  for await (const piece of await promise) {
    onOpen();
    text += piece;
    // https://html.spec.whatwg.org/multipage/server-sent-events.html: an empty line ends an event.
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
  }
}

function parse(block: string): OperatorEvent | undefined {
  const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
  const [event, data] = [field('event'), field('data')];
  return event === undefined || data === undefined ? undefined : { event, data: JSON.parse(data) };
}
