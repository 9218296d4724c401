interface OpenVerification {
  readonly views: readonly string[];
  /** Keys of the parts that wait for it. */
  readonly keys: ReadonlySet<string>;
  readonly over: Promise<unknown>;
}

/** The verifications that reloads wait for. What they are about is left to them; everything else can be committed meanwhile. */
export class OpenVerifications {
  readonly #open = new Set<OpenVerification>();

  /** Keys of all parts that wait. */
  get keys(): ReadonlySet<string> {
    return new Set([...this.#open].flatMap(({ keys }) => [...keys]));
  }

  /** Programs of one of these views are being asked. */
  isAsking(views: readonly string[]): boolean {
    return [...this.#open].some((open) => views.some((view) => open.views.includes(view)));
  }

  /** Resolves when one of those that are open now is over. */
  async nextEnd(): Promise<void> {
    await Promise.race([...this.#open].map(({ over }) => over));
  }

  /** Asks the programs of these views. */
  async run<T>(views: readonly string[], keys: ReadonlySet<string>, ask: () => Promise<T>): Promise<T> {
    const asked = ask();
    const open = { views, keys, over: asked.catch(() => {}) };
    this.#open.add(open);
    try {
      return await asked;
    } finally {
      this.#open.delete(open);
    }
  }
}
