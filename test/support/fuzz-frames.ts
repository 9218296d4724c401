import { encodeFrame, toDaemonEvents } from '../../schemas/wire.ts';
import { mulberry32 } from './random.ts';

/** Frames that are nearly right, not right at all, or cut to pieces; the same for the same seed. */
export function* fuzzFrames(seed: number): Generator<Buffer> {
  const random = mulberry32(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const values = [
    null,
    true,
    -1,
    1e308,
    '',
    'x'.repeat(3_000),
    '\f',
    '\u0000',
    '💥',
    [],
    [[[[]]]],
    {},
    { a: { b: [] } },
  ];
  const value = () => pick<unknown>(values);
  const data = (): unknown => {
    if (random() < 0.2) return value();
    const names = [
      'protocol',
      'name',
      'pid',
      'library',
      'capabilities',
      'nonce',
      'revision',
      'code',
      'paths',
      'id',
      'kind',
    ];
    const entries = Array.from({ length: Math.floor(random() * 6) }, () => [
      pick([...names, '__proto__', '']),
      value(),
    ]);
    return { protocol: 1, name: 'f', pid: 1, library: 'f', capabilities: [], ...Object.fromEntries(entries) };
  };
  const frame = () =>
    encodeFrame(pick([...toDaemonEvents, 'hello', 'connect', 'close', 'error', '', 'constructor']), data());
  for (;;) {
    let text = Array.from({ length: 1 + Math.floor(random() * 4) }, frame).join('');
    if (random() < 0.3) text = text.slice(0, Math.floor(random() * text.length));
    const bytes = Buffer.from(text);
    // A byte here and there is another one.
    if (random() < 0.5)
      for (let i = 0; i < 3; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    yield bytes;
  }
}
