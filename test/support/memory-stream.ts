import { Writable } from 'node:stream';

/** Keeps what is written to it, by line. */
export class MemoryStream extends Writable {
  #text = '';
  readonly isTTY = false;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk.toString();
    done();
  }

  get text(): string {
    return this.#text;
  }

  get lines(): string[] {
    return this.#text.split('\n').filter(Boolean);
  }
}
