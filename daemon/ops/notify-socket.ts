import { loadLibc } from './libc.ts';

/** Sends one datagram; false where it could not be sent. */
export type Notify = (text: string) => boolean;

// From Linux's socket.h and un.h.
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const maxPathBytes = 107;

/**
 * Opens the socket of the service manager, `$NOTIFY_SOCKET`, for sd_notify(3). Node has no datagrams on Unix sockets, so
 * this asks the C library. `undefined` where nobody listens, or there is no koffi.
 */
export function openNotifySocket(path: string | undefined): Notify | undefined {
  if (!path || Buffer.byteLength(path) > maxPathBytes) return undefined;
  const libc = loadLibc();
  if (!libc) return undefined;
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const sendto = libc.func(
    'int64_t sendto(int fd, const uint8_t *text, size_t length, int flags, const uint8_t *address, uint32_t size)',
  );
  const fd: number = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  const address = addressOf(path);
  return (text) => {
    const bytes = Buffer.from(text);
    return Number(sendto(fd, bytes, bytes.length, MSG_DONTWAIT_NOSIGNAL, address, address.length)) === bytes.length;
  };
}

/** `struct sockaddr_un`; a name that begins with `@` is in the abstract namespace, which begins with NUL. */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, name, ...(path.startsWith('@') ? [] : [Buffer.alloc(1)])]);
}
