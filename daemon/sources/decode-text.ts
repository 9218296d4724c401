import { DaemonError } from '../model/errors.ts';

/** Bytes as text. A UTF-8 mark at the start is dropped; UTF-16, broken UTF-8 and NUL are refused. */
export function decodeText(bytes: Uint8Array, subject: string): string {
  const [first, second] = bytes;
  const refuse = (what: string) => new DaemonError('source_encoding', what, { subject, mend: 'save it as UTF-8' });
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) throw refuse('is UTF-16');
  if (bytes.includes(0)) throw refuse('has a NUL byte: it is no text, or UTF-16 without its mark');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('is not valid UTF-8');
  }
}
