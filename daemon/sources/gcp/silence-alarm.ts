import type { Clock } from '../../ops/clock.ts';
import type { MountedSecret } from './mounted-secret.ts';

/** A notification that is this late is missing. */
const lateMs = 30_000;

export interface SilenceAlarmParts {
  readonly clock: Clock;
  readonly topic: string;
  readonly onChange: () => void;
}

/** Raised when a resync finds a new version that no notification names: they do not come, and somebody should know. */
export class SilenceAlarm {
  readonly #parts: SilenceAlarmParts;
  readonly #silent = new Map<MountedSecret, number>();

  constructor(parts: SilenceAlarmParts) {
    this.#parts = parts;
  }

  get problem(): string | undefined {
    const [mounted] = this.#silent.keys();
    if (!mounted) return undefined;
    const what = `no notification came for version ${this.#silent.get(mounted)} of ${mounted.name}`;
    return `${what} (gcloud secrets update ${mounted.secret.id} --add-topics=${this.#parts.topic})`;
  }

  /** A notification of this secret came. */
  heard(mounted: MountedSecret): void {
    if (this.#silent.delete(mounted)) this.#parts.onChange();
  }

  /** Compares with the versions before a resync; what is found without a notification gets a little more time. */
  compare(before: ReadonlyMap<MountedSecret, number | undefined>): void {
    const isUnheard = ([mounted, was]: [MountedSecret, number | undefined]) =>
      was !== undefined && (mounted.version ?? 0) > Math.max(was, mounted.announced);
    const unheard = [...before].filter(isUnheard);
    if (unheard.length === 0) return;
    this.#parts.clock.after(lateMs, () => {
      const still = unheard.filter(isUnheard).filter(([mounted]) => !this.#silent.has(mounted));
      for (const [mounted] of still) this.#silent.set(mounted, mounted.version!);
      if (still.length > 0) this.#parts.onChange();
    });
  }
}
