import type { JsonObject } from '../../../schemas/json.ts';
import { formatPath } from '../../../schemas/paths.ts';
import type { LayerPart } from '../../model/layer.ts';
import type { Clock } from '../../ops/clock.ts';
import type { GcpOptions, SecretOptions } from '../../ops/gcp-options.ts';
import type { Limits } from '../../ops/limits.ts';
import type { MeteredManager } from './metered-manager.ts';
import { MountedSecret } from './mounted-secret.ts';
import { Pursuit } from './pursuit.ts';
import type { SecretEvent } from './secret-event.ts';
import { parseSecretName, secretName } from './secret-manager.ts';

export interface SecretSetParts {
  readonly options: GcpOptions;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: () => number;
  readonly manager: () => Promise<MeteredManager>;
  /** The part of the layer whose content or version is another one. */
  readonly onChange: (part: string, settings: JsonObject) => void;
}

/** The secrets that are served: those that the options name, and those that are found by a filter. */
export class SecretSet {
  readonly #parts: SecretSetParts;
  readonly #named: readonly MountedSecret[];
  readonly #found = new Map<string, MountedSecret>();
  readonly #byName = new Map<string, MountedSecret[]>();
  /** Looks which secrets the filter fits; `undefined` where there is none. */
  readonly finding: Pursuit | undefined;
  #projectNumber: string | undefined;

  constructor(parts: SecretSetParts) {
    this.#parts = parts;
    this.#named = parts.options.secrets.map((secret) => this.#mount(secret));
    if (!parts.options.discover) return;
    this.finding = new Pursuit({ ...parts, attempt: (_look, signal) => this.#find(signal) });
    this.finding.ask('chosen');
  }

  /** Lowest priority first: what was found, then what was named. */
  get all(): readonly MountedSecret[] {
    return [...this.#found.values(), ...this.#named];
  }

  get pursuits(): readonly Pursuit[] {
    return [...(this.finding ? [this.finding] : []), ...this.all.map(({ pursuit }) => pursuit)];
  }

  /** The secrets that an event is about; `'foreign'` when it is of another project. */
  concernedBy(event: SecretEvent): readonly MountedSecret[] | 'foreign' {
    // Events name the project by its number, which is known from the first answer on.
    const isOurs =
      event.project === this.#parts.options.project || event.project === (this.#projectNumber ?? event.project);
    return isOurs ? (this.#byName.get(nameKey(event)) ?? []) : 'foreign';
  }

  /** The secrets that are served under a name, which is an id or a full name. */
  served(name: string): readonly MountedSecret[] {
    return this.all.filter((mounted) => mounted.secret.id === name || mounted.name === name);
  }

  /** What a pursuit is after. */
  subjectOf(pursuit: Pursuit): string {
    return this.all.find((mounted) => mounted.pursuit === pursuit)?.name ?? `projects/${this.#parts.options.project}`;
  }

  /** Takes up parts from before a restart. */
  restore(parts: readonly LayerPart[]): void {
    const { discover } = this.#parts.options;
    for (const { name, settings, version } of parts) {
      const found = parseSecretName(name);
      const isNamed = this.#named.some(({ partName }) => partName === name);
      if (!isNamed && discover && found) this.#found.set(found.id, this.#mountFound(found.id));
      this.all.find(({ partName }) => partName === name)?.restore(settings, Number(version));
    }
  }

  /** Lets go what Secret Manager does not give out any more, and names the parts. */
  letGo(): readonly string[] {
    return this.all.filter((mounted) => mounted.letGo()).map(({ partName }) => partName);
  }

  /** Lets go what the filter had found and what is not there any more. */
  dropLost(): void {
    for (const [id, mounted] of this.#found) {
      if (mounted.pursuit.problem?.code !== 'secret_not_found') continue;
      this.#found.delete(id);
      const key = nameKey(mounted.secret);
      this.#byName.set(
        key,
        this.#byName.get(key)!.filter((other) => other !== mounted),
      );
    }
  }

  async #find(signal: AbortSignal): Promise<undefined> {
    const { filter, location } = this.#parts.options.discover!;
    const manager = await this.#parts.manager();
    const found = new Set((await manager.find(filter, location, signal)).map(({ id }) => id));
    for (const id of found) {
      const known = this.#found.get(id);
      if (known) known.regain();
      else this.#found.set(id, this.#mountFound(id));
    }
    for (const [id, mounted] of this.#found) if (!found.has(id)) mounted.lose(filter);
  }

  #mountFound(id: string): MountedSecret {
    const { at, location } = this.#parts.options.discover!;
    const where = { secret: id, at: [...at, id], ...(location && { location }) };
    return this.#mount({ ...where, version: { kind: 'newest-enabled' }, format: 'text' });
  }

  #mount(options: SecretOptions): MountedSecret {
    const { onChange, options: all } = this.#parts;
    const secret = {
      project: all.project,
      id: options.secret,
      ...(options.location && { location: options.location }),
    };
    const name = secretName(secret);
    const others = this.#byName.get(nameKey(secret)) ?? [];
    const partName = others.length > 0 ? `${name} (at ${formatPath(options.at)})` : name;
    const mounted = new MountedSecret({
      ...this.#parts,
      secret,
      options,
      partName,
      onRead: ({ project }) => {
        this.#projectNumber = project;
      },
      onChange: (settings) => onChange(partName, settings),
    });
    this.#byName.set(nameKey(secret), [...others, mounted]);
    return mounted;
  }
}

/** A secret by what notifications say of it. */
function nameKey({ id, location = '' }: { readonly id: string; readonly location?: string }): string {
  return `${location}/${id}`;
}
