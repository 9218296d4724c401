import { loadLibc } from '../../daemon/ops/libc.ts';

/** Plays systemd: a datagram socket, and what it was told. */
export class NotifyReceiver {
  readonly path: string;
  readonly told: string[] = [];
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string) {
    this.path = path;
    const libc = loadLibc()!;
    const fd = libc.func('int socket(int domain, int type, int protocol)')(1, 2, 0);
    const name = Buffer.concat([Buffer.from([1, 0]), Buffer.from(`${path}\0`)]);
    const bound = libc.func('int bind(int fd, const uint8_t *address, uint32_t size)')(fd, name, name.length);
    if (bound !== 0) throw new Error(`cannot bind ${path}`);
    const recv = libc.func('int64_t recv(int fd, _Out_ uint8_t *buffer, size_t size, int flags)');
    const buffer = Buffer.alloc(4_096);
    const dontWait = 0x40;
    this.#timer = setInterval(() => {
      for (;;) {
        const size = Number(recv(fd, buffer, buffer.length, dontWait));
        if (size <= 0) return;
        this.told.push(buffer.toString('utf8', 0, size));
      }
    }, 5);
    const close = libc.func('int close(int fd)');
    this.close = () => {
      clearInterval(this.#timer);
      close(fd);
    };
  }

  readonly close: () => void;

  /** `undefined` where there is no koffi. */
  static open(path: string): NotifyReceiver | undefined {
    return loadLibc() ? new NotifyReceiver(path) : undefined;
  }

  /** Every line that begins with this name. */
  lines(name: string): string[] {
    return this.told.flatMap((text) => text.split('\n')).filter((line) => line.startsWith(`${name}=`));
  }
}
