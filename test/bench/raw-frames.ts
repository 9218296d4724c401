/** What a program on a bare socket answers. */
export const answer = frameOf({ nonce: 'x'.repeat(12), revision: 1_000_000, applyMs: 0.123 });

/** The same fields as hotconf's patch frame. */
export function patchOf(round: number) {
  const head = {
    nonce: 'x'.repeat(12),
    epoch: 'x'.repeat(36),
    revision: round + 1,
    digest: 'x'.repeat(16),
    committedAt: new Date().toISOString(),
    cause: 'file',
    changed: ['part3.key7'],
    removed: [],
  };
  return {
    ...head,
    base: round,
    operations: [{ op: 'add', path: '/part3/key7', value: `round-${round}`.padEnd(48, '.') }],
  };
}

/** Four bytes of length, then JSON. */
export function frameOf(data: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(data));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}
