import { isEqual, type JsonObject } from '../../../schemas/json.ts';
import { DaemonError } from '../../model/errors.ts';
import type { SecretOptions } from '../../ops/gcp-options.ts';
import type { Limits } from '../../ops/limits.ts';
import { parseBytes } from '../parser.ts';
import { readAnnounced, readChosen } from './choose-version.ts';
import { lookFor } from './look-for.ts';
import type { MeteredManager } from './metered-manager.ts';
import { type Look, Pursuit, type PursuitParts } from './pursuit.ts';
import type { SecretEvent } from './secret-event.ts';
import { type SecretPayload, type SecretRef, secretName } from './secret-manager.ts';

export interface MountedSecretParts extends Pick<PursuitParts, 'clock' | 'random'> {
  readonly secret: SecretRef;
  readonly options: SecretOptions;
  /** Of its part in the layer. */
  readonly partName: string;
  readonly limits: Limits;
  readonly manager: () => Promise<MeteredManager>;
  /** Told of each content that was read. */
  readonly onRead: (payload: SecretPayload) => void;
  /** The content or the version is another one. */
  readonly onChange: (settings: JsonObject) => void;
}

/** Secret Manager will not give it out any more, unless somebody changes that. */
const withheld: readonly DaemonError['code'][] = ['secret_not_found', 'secret_forbidden', 'secret_disabled'];
/** Secret Manager's own limit, in bytes. */
const maxPayload = 64 * 1024;

/** One secret at its place in the settings: what is served of it, and what is known of its versions. */
export class MountedSecret {
  readonly secret: SecretRef;
  readonly options: SecretOptions;
  /** `projects/P/secrets/S`. */
  readonly name: string;
  readonly partName: string;
  readonly pursuit: Pursuit;
  readonly #parts: MountedSecretParts;
  #settings: JsonObject | undefined;
  #version: number | undefined;
  /** The newest version that was read and is no good. */
  #badVersion = 0;
  #announced = 0;
  #bytes: Buffer | undefined;
  #isLost = false;
  /** What is served is from before a restart, and its bytes are not at hand. */
  #isRestored = false;

  constructor(parts: MountedSecretParts) {
    this.#parts = parts;
    this.secret = parts.secret;
    this.options = parts.options;
    this.name = secretName(parts.secret);
    this.partName = parts.partName;
    this.pursuit = new Pursuit({ ...parts, attempt: (look, signal) => this.#read(look, signal) });
    this.pursuit.ask('chosen');
  }

  get settings(): JsonObject | undefined {
    return this.#settings;
  }

  /** The version that is served. */
  get version(): number | undefined {
    return this.#version;
  }

  /** The highest version that a notification has named. */
  get announced(): number {
    return this.#announced;
  }

  /** The content that is served, as it came. */
  get bytes(): Buffer | undefined {
    return this.#bytes;
  }

  /** Takes up what was served before a restart. */
  restore(settings: JsonObject, version: number): void {
    this.#settings = settings;
    this.#version = version;
    this.#isRestored = true;
  }

  /** Lets go what Secret Manager does not give out any more. False when there is no such thing. */
  letGo(): boolean {
    if (!withheld.includes(this.pursuit.problem?.code as DaemonError['code'])) return false;
    this.#settings = this.#version = this.#bytes = undefined;
    this.pursuit.excuse();
    return true;
  }

  /** Asks for a look, unless it is lost. */
  ask(look: Look): void {
    if (!this.#isLost) this.pursuit.ask(look);
  }

  /** The filter that found it does not fit it any more: it is kept, and not looked at. */
  lose(filter: string): void {
    this.#isLost = true;
    const mend = 'run `hotconf reload` to let it go';
    this.pursuit.fail(
      new DaemonError('secret_not_found', `is not found by ${filter} any more; its last value is kept`, {
        subject: this.name,
        mend,
      }),
    );
  }

  /** The filter fits it again. */
  regain(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.pursuit.ask('chosen');
  }

  /** Takes a hint. False when it says nothing new: it was delivered before, is late, or concerns no version of ours. */
  hear(event: SecretEvent): boolean {
    const { choice } = this;
    const known = { choice, served: this.#version, bad: this.#badVersion, announced: this.#announced };
    const look = lookFor(event, { ...known, isWell: this.pursuit.problem === undefined });
    if (event.type === 'SECRET_VERSION_ADD' && (choice.kind === 'newest-enabled' || choice.kind === 'latest'))
      this.#announced = Math.max(this.#announced, event.version ?? 0);
    if (look) this.ask(look);
    return look !== undefined;
  }

  get choice() {
    return this.options.version;
  }

  async #read(look: Look, signal: AbortSignal): Promise<Look | undefined> {
    const manager = await this.#parts.manager();
    const known = {
      ...(this.#announced > 0 && { announced: this.#announced }),
      ...(this.#version !== undefined && look !== 'fresh' && !this.#isRestored && { current: this.#version }),
    };
    const mayList = () => manager.takeListing();
    const parts = { manager, secret: this.secret, choice: this.choice, known, mayList, signal };
    try {
      await this.#take(await (look === 'announced' ? readAnnounced(parts) : readChosen(parts)));
      return undefined;
    } catch (error) {
      const { code } = error as DaemonError;
      if (look !== 'announced' || (code !== 'secret_disabled' && code !== 'secret_not_found')) throw error;
      // Announced and gone again, or never there: which one is to be served has to be found out.
      this.#announced = 0;
      return 'chosen';
    }
  }

  async #take(payload: SecretPayload | 'same'): Promise<void> {
    if (payload === 'same') return;
    this.#parts.onRead(payload);
    const settings = await this.#parse(payload).catch((error) => {
      this.#badVersion = Math.max(this.#badVersion, payload.version);
      throw error;
    });
    const isSame = this.#settings !== undefined && isEqual(this.#settings, settings);
    // The same content stays the same object, so that nothing downstream takes it for new.
    if (!isSame) this.#settings = settings;
    const isNewVersion = payload.version !== this.#version;
    this.#version = payload.version;
    this.#bytes = payload.bytes;
    this.#isRestored = false;
    if (!isSame || isNewVersion) this.#parts.onChange(this.#settings!);
  }

  async #parse({ bytes, version }: SecretPayload): Promise<JsonObject> {
    const { limits } = this.#parts;
    const { at, format } = this.options;
    const subject = `${this.name}/versions/${version}`;
    if (bytes.length > maxPayload) {
      const mend = 'split the secret';
      throw new DaemonError(
        'source_too_large',
        `has ${bytes.length} bytes, over Secret Manager's limit of ${maxPayload}`,
        { subject, mend },
      );
    }
    const rules = { subject, depth: limits.depth, keys: limits.keys, values: limits.values };
    const settings = await parseBytes(bytes, { format, at, naming: { map: {} }, rules });
    if (settings !== 'nothing') return settings;
    throw new DaemonError('source_empty', 'holds nothing but comments', {
      subject,
      mend: 'add a version with settings in it',
    });
  }
}
