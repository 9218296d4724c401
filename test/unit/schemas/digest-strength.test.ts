import { expect } from 'chai';
import { Digester, hash64 } from '../../../schemas/digest.ts';
import { mulberry32 } from '../../support/random.ts';

const asText = ({ high, low }: { high: number; low: number }) => `${high} ${low}`;

describe('the digest’s hash', () => {
  it('tells two values apart that collide in MurmurHash3 whatever its seed is', () => {
    const digest = (abc: string) => new Digester().digest({ abc });
    expect(digest('xOLA5g3Yh')).not.equal(digest('x7E34Wk32'));
  });

  it('finds every difference of two adjacent blocks that cancels in one half', () => {
    const random = mulberry32(19);
    let cancelled = 0;
    for (let i = 0; i < 200_000; i++) {
      const [first, second] = [asciiBlock(random), asciiBlock(random)];
      // The top bit survives the multiplications of a state, so that the second difference undoes the first one.
      const others = [unmix(mix(first) ^ (1 << 18)), unmix(mix(second) ^ (1 << 31))] as const;
      if (!others.every(isAscii)) continue;
      const start = i % 2 === 0 ? '' : 'some text before ...';
      const one = hash64(`${start}${textOf(first)}${textOf(second)}and after`);
      const other = hash64(`${start}${textOf(others[0])}${textOf(others[1])}and after`);
      if (one.high === other.high) cancelled++;
      expect(one.low, `${first} ${second}`).not.equal(other.low);
    }
    expect(cancelled, 'pairs that cancel in the high half').greaterThan(300);
  });

  it('has no collision, and in each half not more than chance gives, among values that differ within few characters', () => {
    const random = mulberry32(20);
    const texts = new Set<string>();
    while (texts.size < 200_000) texts.add(`"password":"${String(Math.floor(random() * 1e9)).padStart(9, '0')}"`);
    const sums = [...texts].map((text) => hash64(text));
    expect(new Set(sums.map(asText)).size).equal(texts.size);
    // Chance gives 4.7 of them.
    for (const half of ['high', 'low'] as const)
      expect(texts.size - new Set(sums.map((sum) => sum[half])).size, half).lessThan(20);
  });

  it('changes each bit of its result with a chance of one half, whichever bit of the text changes', () => {
    const random = mulberry32(21);
    const rounds = 600;
    for (const length of [3, 4, 6, 13, 40]) {
      for (let bit = 0; bit < length * 7; bit += length > 8 ? 5 : 1) {
        const flips = new Array<number>(64).fill(0);
        for (let i = 0; i < rounds; i++) {
          const codes = Array.from({ length }, () => Math.floor(random() * 128));
          const before = hash64(String.fromCharCode(...codes));
          codes[Math.floor(bit / 7)]! ^= 1 << (bit % 7);
          const after = hash64(String.fromCharCode(...codes));
          for (let out = 0; out < 32; out++) {
            flips[out]! += ((before.high ^ after.high) >>> out) & 1;
            flips[out + 32]! += ((before.low ^ after.low) >>> out) & 1;
          }
        }
        // Six standard deviations.
        for (const [out, count] of flips.entries())
          expect(count / rounds, `length ${length}, bit ${bit}, result bit ${out}`).within(0.37, 0.63);
      }
    }
  });
});

function mix(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function unmix(mixed: number): number {
  const rotated = Math.imul(mixed, inverse(0x1b873593));
  return Math.imul((rotated >>> 15) | (rotated << 17), inverse(0xcc9e2d51));
}

/** Of an odd number, modulo 2^32, by Newton's method. */
function inverse(odd: number): number {
  let found = odd;
  for (let i = 0; i < 5; i++) found = Math.imul(found, 2 - Math.imul(odd, found));
  return found;
}

const asciiBlock = (random: () => number) => Math.floor(random() * 2 ** 32) & 0x7f7f7f7f;
const isAscii = (block: number) => (block & 0x80808080) === 0;
const textOf = (block: number) => String.fromCharCode(...[0, 8, 16, 24].map((shift) => (block >>> shift) & 0x7f));
