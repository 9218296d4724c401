import type { Nack } from '../../schemas/wire.ts';

/** Takes secrets out of what a program says; a message is cut to 500 characters, and withheld where it shares text with a secret. */
export type Clean = (text: string, as?: 'message') => string;

/** What a program says of a snapshot that it does not take, without any secret. */
export function cleanNack(said: Nack, clean: Clean): Nack {
  const paths = said.paths.map((path) => clean(path));
  return { ...said, code: clean(said.code), message: clean(said.message, 'message'), paths };
}
