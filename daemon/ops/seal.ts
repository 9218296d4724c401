import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from './key-ring.ts';

/** What is known of a sealed text without opening it; bound to it, so that it cannot be put to another one. */
export interface SealLabel {
  /** Whose it is. At most 64 bytes. */
  readonly owner: string;
  /** Rises with every text that is sealed. */
  readonly generation: number;
  readonly revision: number;
}

export type Opened =
  | { readonly kind: 'opened'; readonly label: SealLabel; readonly text: Buffer; readonly isNewestKey: boolean }
  | { readonly kind: 'refused'; readonly why: 'no seal' | 'cut off' | 'another key' | 'tampered with' };

const magic = Buffer.from('hotconf1');
const keyIdBytes = 8;
const saltBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const ownerBytes = 64;
/** Where the text begins. */
export const headBytes = magic.length + keyIdBytes + saltBytes + nonceBytes + ownerBytes + 16;

/**
 * Encrypts with AES-256-GCM under a key that is made for this one text: HKDF-SHA-256 (RFC 5869) of the ring's first key
 * with a random salt.
 *
 * ```
 * "hotconf1" | key id (8) | salt (32) | nonce (12) | owner (64, NUL-padded) | generation (8) | revision (8) | text | tag (16)
 * ```
 *
 * All before the text is authenticated with it.
 */
export function seal(text: Buffer, { owner, generation, revision }: SealLabel, [key]: KeyRing): Buffer {
  const head = Buffer.alloc(headBytes);
  let at = magic.copy(head);
  at += keyId(key!).copy(head, at);
  at += randomBytes(saltBytes + nonceBytes).copy(head, at);
  head.write(owner, at, ownerBytes, 'utf8');
  at += ownerBytes;
  head.writeBigUInt64BE(BigInt(generation), at);
  head.writeBigUInt64BE(BigInt(revision), at + 8);
  const cipher = createCipheriv('aes-256-gcm', textKey(key!, head), nonceOf(head)).setAAD(head);
  return Buffer.concat([head, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what {@link seal} made under any key of the ring. */
export function unseal(sealed: Buffer, keys: KeyRing): Opened {
  const head = sealed.subarray(0, headBytes);
  if (!head.subarray(0, magic.length).equals(magic)) return { kind: 'refused', why: 'no seal' };
  if (sealed.length < headBytes + tagBytes) return { kind: 'refused', why: 'cut off' };
  const id = head.subarray(magic.length, magic.length + keyIdBytes);
  const key = keys.find((known) => timingSafeEqual(keyId(known), id));
  if (!key) return { kind: 'refused', why: 'another key' };
  const decipher = createDecipheriv('aes-256-gcm', textKey(key, head), nonceOf(head))
    .setAAD(head)
    .setAuthTag(sealed.subarray(sealed.length - tagBytes));
  try {
    const text = Buffer.concat([
      decipher.update(sealed.subarray(headBytes, sealed.length - tagBytes)),
      decipher.final(),
    ]);
    return { kind: 'opened', label: labelOf(head), text, isNewestKey: key === keys[0] };
  } catch {
    return { kind: 'refused', why: 'tampered with' };
  }
}

/** The label at the beginning of a sealed text, not proved; `undefined` where there is none. */
export function peekLabel(head: Buffer): SealLabel | undefined {
  return head.length >= headBytes && head.subarray(0, magic.length).equals(magic) ? labelOf(head) : undefined;
}

function keyId(key: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'hotconf key id', keyIdBytes));
}

function textKey(key: Buffer, head: Buffer): Buffer {
  const at = magic.length + keyIdBytes;
  return Buffer.from(hkdfSync('sha256', key, head.subarray(at, at + saltBytes), 'hotconf last known good', 32));
}

function nonceOf(head: Buffer): Buffer {
  const at = magic.length + keyIdBytes + saltBytes;
  return head.subarray(at, at + nonceBytes);
}

function labelOf(head: Buffer): SealLabel {
  const at = headBytes - 16;
  return {
    owner: head.toString('utf8', at - ownerBytes, at).replace(/\0+$/, ''),
    generation: Number(head.readBigUInt64BE(at)),
    revision: Number(head.readBigUInt64BE(at + 8)),
  };
}
