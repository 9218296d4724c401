import { createRequire } from 'node:module';
import type { LibraryHandle } from 'koffi';

/**
 * The C library, by way of koffi, an optional package; `undefined` where that is not installed or this is not Linux. For
 * what Node has no call for: who is at the other end of a socket, and telling the service manager.
 */
export function loadLibc(): LibraryHandle | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // Loaded at once, because a connection cannot wait for it, and only where it is needed: it takes 8 MB.
    return (createRequire(import.meta.url)('koffi') as typeof import('koffi')).load(null);
  } catch {
    return undefined;
  }
}
