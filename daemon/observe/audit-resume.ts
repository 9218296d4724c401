import { follow, type Link, linkOf } from './audit-chain.ts';
import type { SeriesHead } from './audit-head.ts';

/**
 * Why a file, by its lines and its last link, is not as its head says. A daemon that was killed may have written one batch more than it has noted, all of which say the
 * head's number.
 */
export function whyBroken(lines: readonly string[], last: Link, head: SeriesHead, key: Buffer): string | undefined {
  const { auditHead, count } = head;
  if (last.seq < auditHead.seq)
    return `its last record is ${last.seq}, and ${auditHead.seq} was written: its end was cut off`;
  let before: Link | undefined;
  for (const line of lines) {
    const link = linkOf(line);
    if (link && link.seq < auditHead.seq) continue;
    if (link?.seq === auditHead.seq) {
      if (link.hmac !== auditHead.hmac) return isAnother(link);
    } else {
      const isNext = link?.seq === auditHead.seq + 1;
      const fields = follow(line, before ?? (isNext ? auditHead : undefined), key);
      if (typeof fields === 'string') return `record ${link?.seq ?? '?'} ${fields}`;
      if (count !== undefined && fields.head !== count)
        return `its head is number ${count}, and record ${link!.seq} knows of ${fields.head}: the head was put back`;
    }
    before = link;
  }
  return last.seq === auditHead.seq && last.hmac !== auditHead.hmac ? isAnother(last) : undefined;
}

const isAnother = ({ seq }: Link) => `record ${seq} is another one than was written`;
