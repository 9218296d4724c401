import type { Socket } from 'node:net';
import { DaemonError } from '../model/errors.ts';
import { accountNumber } from '../ops/accounts.ts';
import type { Options } from '../ops/options.ts';
import type { ViewOptions } from '../ops/view-options.ts';
import { kernelPeers, type Peer, type PeerOf } from './peer.ts';

/** Why a connection is not let in. */
export interface Refusal {
  readonly code: 'not_allowed' | 'too_many_clients';
  readonly message: string;
  /** Nothing changes by itself. */
  readonly isFatal: boolean;
}

/** The options about who may connect. */
export type DoorRules = Pick<Options, 'file' | 'views' | 'limits' | 'peerAuth'>;

/** Accounts by their numbers. */
interface Allowed {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

/** Places kept for root and the daemon's own user, so that an operator can look when programs have taken the rest. */
const operatorPlaces = 8;
/** Connections that are told why they are refused, and then closed. */
export const refusalsAtATime = 16;

/**
 * Says who may connect to a view: by account, as the kernel tells it, and by how many there are already, in all and of
 * one user. Never by what a program says of itself.
 */
export class Doorkeeper {
  readonly #limits: Options['limits'];
  readonly #allowed = new Map<string, Allowed>();
  readonly #maxClients: number;
  readonly #mode: Options['peerAuth'];
  readonly #ownUid = process.getuid?.();
  #peerOf: PeerOf | undefined | 'not asked yet' = 'not asked yet';
  #count = 0;
  readonly #onFull: (problem: string | undefined) => void;
  #isStillFull: (() => boolean) | undefined;
  /** By uid; by view where it is not known. */
  readonly #countOf = new Map<number | string, number>();
  readonly #onUnknown: (problem: string) => void;

  /**
   * `descriptors`: how many connections the process can have open. `onFull` is told why programs are refused for their
   * number, and when there is room again, `onUnknown` once why it is not known who connects. Throws `options_unusable` for
   * accounts that are not there and for rules that could not be kept.
   */
  constructor(
    { file, views, limits, peerAuth }: DoorRules,
    descriptors: number,
    onFull: (problem: string | undefined) => void = () => {},
    onUnknown: (problem: string) => void = () => {},
  ) {
    this.#onUnknown = onUnknown;
    this.#onFull = onFull;
    this.#limits = limits;
    this.#mode = peerAuth;
    this.#maxClients = Math.min(limits.clients, descriptors);
    for (const view of views) if (view.allow) this.#allowed.set(view.name, allowedBy(view, file));
    if (peerAuth !== 'required' && this.#allowed.size === 0) return;
    if (this.#peers) return;
    const rule = peerAuth === 'required' ? 'peerAuth: required' : `views.${[...this.#allowed.keys()][0]}.allow`;
    const why = peerAuth === 'off' ? 'peerAuth is off' : 'the package koffi is not there, or this is not Linux';
    const what = `${rule} needs to know who connects, and ${why}`;
    throw new DaemonError('options_unusable', what, { subject: file, mend: 'npm install koffi, or take it out' });
  }

  /** Connections that are taken at most. */
  get maxClients(): number {
    return this.#maxClients;
  }

  /** So many are being refused that there is no time to tell them why. */
  get isOverrun(): boolean {
    return this.#count >= this.#maxClients + refusalsAtATime;
  }

  /** Who connected; `undefined` where that is not known. */
  peerOf(socket: Socket): Peer | undefined {
    return this.#peers?.(socket);
  }

  /** Why this connection, which is not counted yet, is not let in. */
  refusal(view: string, peer: Peer | undefined): Refusal | undefined {
    if (!this.#isAllowed(view, peer)) {
      const who = peer ? `uid ${peer.uid}` : 'a user who is not known';
      return { code: 'not_allowed', message: `the view does not allow ${who}`, isFatal: true };
    }
    // Where nobody is known, nobody could use what is kept.
    const kept = peer && !this.#isOperator(peer) ? Math.min(operatorPlaces, Math.floor(this.#maxClients / 8)) : 0;
    const places = this.#maxClients - kept;
    const isFull = () => this.#count >= places;
    if (isFull()) return this.#tooMany(`${places} programs are connected already, in all (limits.clients)`, isFull);
    const { clientsPerUid } = this.#limits;
    // Where users are not known, a socket counts as half a user.
    const most = peer ? clientsPerUid : Math.ceil(clientsPerUid / 2);
    const isFullOfOne = () => (this.#countOf.get(peer?.uid ?? view) ?? 0) >= most;
    if (!isFullOfOne()) return undefined;
    const whose = peer ? `of uid ${peer.uid}` : `of view ${view}, whose users are not known,`;
    return this.#tooMany(`${most} programs ${whose} are connected already (limits.clientsPerUid)`, isFullOfOne);
  }

  enter(view: string, peer: Peer | undefined): void {
    const key = peer?.uid ?? view;
    this.#count++;
    this.#countOf.set(key, (this.#countOf.get(key) ?? 0) + 1);
  }

  leave(view: string, peer: Peer | undefined): void {
    const key = peer?.uid ?? view;
    const left = this.#countOf.get(key)! - 1;
    this.#count--;
    if (left > 0) this.#countOf.set(key, left);
    else this.#countOf.delete(key);
    if (!this.#isStillFull || this.#isStillFull()) return;
    this.#isStillFull = undefined;
    this.#onFull(undefined);
  }

  // Asked for at the first connection, or at once where there is a rule to keep.
  get #peers(): PeerOf | undefined {
    if (this.#mode === 'off') return undefined;
    if (this.#peerOf !== 'not asked yet') return this.#peerOf;
    this.#peerOf = kernelPeers();
    if (!this.#peerOf)
      this.#onUnknown(
        'it is not known who connects: each socket counts as one user; install koffi, or set peerAuth: off',
      );
    return this.#peerOf;
  }

  #tooMany(message: string, isStill: () => boolean): Refusal {
    this.#isStillFull = isStill;
    this.#onFull(message);
    return { code: 'too_many_clients', message, isFatal: false };
  }

  #isOperator({ uid }: Peer): boolean {
    return uid === 0 || uid === this.#ownUid;
  }

  #isAllowed(view: string, peer: Peer | undefined): boolean {
    const allowed = this.#allowed.get(view);
    if (!allowed) return this.#mode !== 'required' || peer !== undefined;
    if (!peer) return false;
    const isMember = [peer.gid, ...peer.groups].some((gid) => allowed.gids.has(gid));
    return this.#isOperator(peer) || allowed.uids.has(peer.uid) || isMember;
  }
}

function allowedBy({ name, allow }: ViewOptions, file: string): Allowed {
  const numbers = (kind: 'user' | 'group', accounts: readonly string[]) =>
    new Set(accounts.map((account) => accountNumber(kind, account, `${file}: views.${name}.allow`)));
  return { uids: numbers('user', allow!.users), gids: numbers('group', allow!.groups) };
}
