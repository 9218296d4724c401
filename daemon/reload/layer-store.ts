import { parsePath } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { Layer, LayerPart } from '../model/layer.ts';
import { isSameParts, overlayParts, partKey } from '../model/parts.ts';
import type { LoadRequest, Source } from '../sources/source.ts';

/**
 * The layers of every source: what was read last, and what was accepted last. They differ where a source was read well
 * but what it said was rejected; such parts are pending, and are tried again with every later burst.
 */
export class LayerStore {
  readonly #sources: readonly Source[];
  readonly #newest = new Map<string, Layer>();
  readonly #loading = new Map<string, Promise<void>>();
  /** Sources whose content is from before a restart, and that have not been read yet. */
  readonly #unread = new Set<string>();
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

  /** Takes up what the sources said before a restart, until they are read. */
  restore(parts: readonly LayerPart[]): void {
    for (const source of this.#sources) {
      source.restore(parts.filter(({ sourceId }) => sourceId === source.id));
      this.#unread.add(source.id);
    }
    for (const [id, layer] of this.#layersOf(parts)) this.#newest.set(id, layer);
    this.#accepted = new Map(this.#newest);
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
      this.#unread.delete(source.id);
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

  /** What was accepted last. */
  get accepted(): ReadonlyMap<string, Layer> {
    return this.#accepted;
  }

  /** What was accepted before, with only these parts replaced. */
  withOnly(keys: ReadonlySet<string>): ReadonlyMap<string, Layer> {
    return this.#mix((part) => keys.has(partKey(part)));
  }

  /** The newest of everything, but for these parts, which are as they were accepted. */
  except(keys: ReadonlySet<string>): ReadonlyMap<string, Layer> {
    return keys.size === 0 ? new Map(this.#newest) : this.#mix((part) => !keys.has(partKey(part)));
  }

  /** The keys of the parts that a load of these sources has just read anew. */
  touched(sourceIds: ReadonlySet<string>): ReadonlySet<string> {
    const layers = [...sourceIds].flatMap((id) => this.#newest.get(id) ?? []);
    return new Set(layers.flatMap(({ sourceId, touched }) => [...touched].map((name) => partKey({ sourceId, name }))));
  }

  #mix(isNewest: (part: LayerPart) => boolean): Map<string, Layer> {
    const layers = new Map(this.#accepted);
    for (const [id, newest] of this.#newest) {
      const accepted = this.#accepted.get(id);
      const parts = accepted ? overlayParts(accepted.parts, newest.parts, isNewest) : newest.parts;
      const known = [newest, accepted].find((layer) => layer && isSameParts(parts, layer.parts));
      layers.set(id, known ?? { ...newest, parts });
    }
    return layers;
  }

  /** Whether two sets of layers do not have the same parts. */
  differ(a: ReadonlyMap<string, Layer>, b: ReadonlyMap<string, Layer>): boolean {
    return !isSameParts(this.partsOf(a), this.partsOf(b));
  }

  /** The parts of layers, lowest priority first. */
  partsOf(layers: ReadonlyMap<string, Layer>): LayerPart[] {
    return this.#sources.flatMap(({ id }) => layers.get(id)?.parts ?? []);
  }

  accept(layers: ReadonlyMap<string, Layer>): void {
    this.#accepted = new Map(layers);
    for (const id of this.#rejections.keys()) if (this.#newest.get(id) === layers.get(id)) this.#rejections.delete(id);
  }

  /** What is served is what these parts say, from now on; what the sources say otherwise is pending. */
  acceptParts(parts: readonly LayerPart[]): void {
    const layers = this.#layersOf(parts);
    for (const [id, layer] of layers) {
      const newest = this.#newest.get(id);
      if (newest && isSameParts(newest.parts, layer.parts)) layers.set(id, newest);
    }
    this.accept(layers);
  }

  /** A failure about a setting that a part gives, with the line of the document, where its source can tell. */
  async located(error: DaemonError): Promise<DaemonError> {
    const { subject, path } = error.facts;
    if (error.code !== 'settings_invalid' || !subject || !path) return error;
    for (const source of this.#sources) {
      const isItsOwn = this.#newest.get(source.id)?.parts.some(({ name }) => name === subject);
      const line = isItsOwn ? await source.lineOf?.(subject, parsePath(path) ?? []) : undefined;
      if (line !== undefined) return error.at(line);
    }
    return error;
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
    for (const id of this.#unread) problems.set(id, unread(id));
    for (const { id, problem } of this.#sources) if (problem) problems.set(id, problem);
    return problems;
  }

  /** Why sources cannot be read, whatever becomes of what they said before. */
  get unwell(): readonly DaemonError[] {
    return this.#sources.flatMap(({ problem }) => problem ?? []);
  }

  /** The parts that were read last, lowest priority first. Throws why a source cannot be read. */
  wellParts(): LayerPart[] {
    const [problem] = this.unwell;
    if (problem) throw problem;
    return this.partsOf(this.#newest);
  }

  #layersOf(parts: readonly LayerPart[]): Map<string, Layer> {
    const layers = new Map<string, Layer>();
    for (const { id } of this.#sources) {
      const own = parts.filter(({ sourceId }) => sourceId === id);
      layers.set(id, { sourceId: id, parts: own, touched: new Set() });
    }
    return layers;
  }
}

function unread(subject: string): DaemonError {
  return new DaemonError('source_unread', 'has not been read since the start; it serves its last known good values', {
    subject,
    mend: 'it goes on by itself when the source answers',
  });
}
