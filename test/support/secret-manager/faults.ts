import { setTimeout as sleep } from 'node:timers/promises';
import { StatusError, type StatusName } from './status.ts';

/** Something that goes wrong in the calls that it fits. */
export interface Fault {
  /** Such as `AccessSecretVersion`; every one when it is left out. */
  readonly method?: string;
  /** Calls whose resource name contains this. */
  readonly name?: string;
  readonly status?: StatusName;
  readonly delayMs?: number;
  /** The payload loses its last bytes on the way. */
  readonly truncate?: boolean;
  readonly wrongChecksum?: boolean;
  /** How often; for ever when it is left out. */
  times?: number;
}

export interface Call {
  readonly method: string;
  readonly name: string;
  readonly at: number;
}

/** What was asked of the server, and what is made to go wrong. */
export class Faults {
  readonly calls: Call[] = [];
  readonly #faults = new Set<Fault>();
  /** Of every call, in milliseconds. */
  latencyMs = 0;

  add(fault: Fault): () => void {
    const own = { ...fault };
    this.#faults.add(own);
    return () => this.#faults.delete(own);
  }

  clear(): void {
    this.#faults.clear();
  }

  count(method: string, name = ''): number {
    return this.calls.filter((call) => call.method === method && call.name.includes(name)).length;
  }

  /** Lets a call happen as the faults say: late, not at all, or with a damaged answer. */
  async meet(method: string, name: string): Promise<Pick<Fault, 'truncate' | 'wrongChecksum'>> {
    this.calls.push({ method, name, at: performance.now() });
    const met = [...this.#faults].filter(
      (fault) => (fault.method ?? method) === method && name.includes(fault.name ?? '') && fault.times !== 0,
    );
    for (const fault of met) if (fault.times !== undefined) fault.times--;
    const delayMs = this.latencyMs + met.reduce((sum, fault) => sum + (fault.delayMs ?? 0), 0);
    if (delayMs > 0) await sleep(delayMs, undefined, { ref: false });
    const failing = met.find(({ status }) => status);
    if (failing) throw new StatusError(failing.status!, wordsOf(failing.status!, method, name));
    return {
      truncate: met.some(({ truncate }) => truncate),
      wrongChecksum: met.some(({ wrongChecksum }) => wrongChecksum),
    };
  }
}

function wordsOf(status: StatusName, method: string, name: string): string {
  if (status !== 'PERMISSION_DENIED') return `made to fail: ${status}`;
  return `Permission for '${method}' denied on resource '${name}' (or it may not exist).`;
}
