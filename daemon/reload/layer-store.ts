import { DaemonError } from '../model/errors.ts';
import type { Layer, LayerPart } from '../model/layer.ts';
import type { LoadRequest, Source } from '../sources/source.ts';

/**
 * The layers of every source: what was read last, and what was accepted last. They differ where a source was read well
 * but what it said was rejected; such parts are pending, and are tried again with every later burst.
 */
export class LayerStore {
  readonly #sources: readonly Source[];
  readonly #newest = new Map<string, Layer>();
  readonly #loading = new Map<string, Promise<void>>();
  #accepted: ReadonlyMap<string, Layer> = new Map();
  readonly #rejections = new Map<string, DaemonError>();

  /** Sources lowest priority first. */
  constructor(sources: readonly Source[]) {
    this.#sources = sources;
  }

  get sourceIds(): ReadonlySet<string> {
    return new Set(this.#sources.map(({ id }) => id));
  }

  /** Loads these sources, all of them to the end. Throws the first failure; what was read well is kept as pending. */
  async load(sourceIds: ReadonlySet<string>, request: LoadRequest, signal: AbortSignal): Promise<void> {
    const chosen = this.#sources.filter(({ id }) => sourceIds.has(id));
    const results = await Promise.allSettled(chosen.map((source) => this.#loadNext(source, request, signal)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    const bug = failures.find((reason) => !(reason instanceof DaemonError));
    if (failures.length > 0) throw bug ?? failures[0];
  }

  /** Gives back what the sources hold. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  /** One load of a source at a time: one that outlived its reload's deadline must not end after a later one. */
  #loadNext(source: Source, request: LoadRequest, signal: AbortSignal): Promise<void> {
    const before = this.#loading.get(source.id) ?? Promise.resolve();
    const load = before.then(async () => {
      const layer = await source.load(request, signal);
      this.#newest.set(source.id, layer);
      if (layer.failure) throw layer.failure;
    });
    this.#loading.set(
      source.id,
      load.catch(() => {}),
    );
    return load;
  }

  /** The newest of everything. */
  get newest(): ReadonlyMap<string, Layer> {
    return this.#newest;
  }

  /** What was accepted before, with only the parts that this burst touched replaced. */
  only(sourceIds: ReadonlySet<string>): ReadonlyMap<string, Layer> {
    const layers = new Map(this.#accepted);
    for (const id of sourceIds) {
      const layer = this.#newest.get(id);
      if (layer) layers.set(id, overlayTouched(this.#accepted.get(id), layer));
    }
    return layers;
  }

  /** The parts of layers, lowest priority first. */
  partsOf(layers: ReadonlyMap<string, Layer>): LayerPart[] {
    return this.#sources.flatMap(({ id }) => layers.get(id)?.parts ?? []);
  }

  accept(layers: ReadonlyMap<string, Layer>): void {
    this.#accepted = new Map(layers);
    for (const id of this.#rejections.keys()) if (this.#newest.get(id) === layers.get(id)) this.#rejections.delete(id);
  }

  /** Remembers why what these sources said is not served. */
  reject(sourceIds: ReadonlySet<string>, error: DaemonError): void {
    // Before anything was accepted there is nothing that is served in its place.
    if (this.#accepted.size === 0) return;
    for (const id of sourceIds) if (this.#newest.get(id) !== this.#accepted.get(id)) this.#rejections.set(id, error);
  }

  /** What is wrong with each source that is not well. */
  problems(): Map<string, DaemonError> {
    const problems = new Map(this.#rejections);
    for (const { id, problem } of this.#sources) if (problem) problems.set(id, problem);
    return problems;
  }
}

/** The accepted parts, with those that the newest load touched replaced, put in their places, or taken out. */
function overlayTouched(accepted: Layer | undefined, newest: Layer): Layer {
  if (!accepted) return newest;
  const parts = accepted.parts.filter(({ name }) => !newest.touched.has(name));
  for (const [i, part] of newest.parts.entries()) {
    if (!newest.touched.has(part.name)) continue;
    const below = new Set(newest.parts.slice(0, i).map(({ name }) => name));
    parts.splice(parts.findLastIndex(({ name }) => below.has(name)) + 1, 0, part);
  }
  const isSame =
    parts.length === newest.parts.length && parts.every(({ settings }, i) => settings === newest.parts[i]!.settings);
  return isSame ? newest : { ...newest, parts };
}
