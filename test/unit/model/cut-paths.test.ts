import { expect } from 'chai';
import fc from 'fast-check';
import { cutChanges, leftOut } from '../../../daemon/model/cut-paths.ts';

describe('lists of what changed', () => {
  it('keep as many of the first paths as fit, and count the others', () => {
    const paths = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 30 });
    fc.assert(
      fc.property(paths, paths, fc.nat(30), fc.nat(300), (changed, removed, count, bytes) => {
        const cut = cutChanges({ changed, removed }, { count, bytes });
        for (const [part, whole, total] of [
          [cut.changed, changed, cut.changedTotal],
          [cut.removed, removed, cut.removedTotal],
        ] as const) {
          expect(part).deep.equal(whole.slice(0, part.length));
          const fits = (length: number) =>
            length <= count && Buffer.byteLength(whole.slice(0, length).join('')) <= bytes;
          expect(fits(part.length)).equal(true);
          if (part.length < whole.length) expect(fits(part.length + 1)).equal(false);
          expect(total).equal(part.length < whole.length ? whole.length : undefined);
        }
        expect(leftOut(cut)).equal(changed.length + removed.length - cut.changed.length - cut.removed.length);
      }),
    );
  });

  it('keep their totals when they are cut again', () => {
    const once = cutChanges({ changed: ['a', 'b', 'c'], removed: [] }, { count: 2, bytes: 100 });
    expect(cutChanges(once, { count: 1, bytes: 100 })).deep.equal({ changed: ['a'], removed: [], changedTotal: 3 });
    expect(cutChanges(once, { count: 9, bytes: 100 })).deep.equal(once);
  });
});
