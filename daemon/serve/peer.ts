import type { Socket } from 'node:net';
import { loadLibc } from '../ops/libc.ts';

/** Who is at the other end of a Unix socket, as the kernel saw it when it connected. */
export interface Peer {
  readonly uid: number;
  readonly gid: number;
  /** 0 where the process is in a PID namespace that we cannot see into. */
  readonly pid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

export type PeerOf = (socket: Socket) => Peer | undefined;

// From Linux's asm-generic/socket.h.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const maxGroups = 4_096;

type GetSockOpt = (fd: number, level: number, name: number, value: Buffer, size: number[]) => number;

/**
 * Asks the kernel, by way of koffi, an optional package; `undefined` where that cannot be: it is not installed, or this
 * is not Linux.
 */
export function kernelPeers(): PeerOf | undefined {
  const getSockOpt = loadGetSockOpt();
  if (!getSockOpt) return undefined;
  // One place for all answers: buffers of their own would be collected late, and be most of what a connection costs.
  const [forCredentials, forGroups] = [Buffer.alloc(12), Buffer.alloc(maxGroups * 4)];
  return (socket) => {
    const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    // struct ucred { pid_t pid; uid_t uid; gid_t gid; }
    const credentials = read(getSockOpt, fd, SO_PEERCRED, forCredentials);
    if (!credentials) return undefined;
    const groups = read(getSockOpt, fd, SO_PEERGROUPS, forGroups) ?? Buffer.alloc(0);
    return {
      pid: credentials.readInt32LE(0),
      uid: credentials.readUInt32LE(4),
      gid: credentials.readUInt32LE(8),
      groups: Array.from({ length: groups.length / 4 }, (_, i) => groups.readUInt32LE(i * 4)),
    };
  };
}

function loadGetSockOpt(): GetSockOpt | undefined {
  return loadLibc()?.func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *size)');
}

function read(getSockOpt: GetSockOpt, fd: number, name: number, value: Buffer): Buffer | undefined {
  const size = [value.length];
  return getSockOpt(fd, SOL_SOCKET, name, value, size) === 0 ? value.subarray(0, size[0]) : undefined;
}
