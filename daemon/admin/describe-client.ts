import type { Session } from '../serve/session.ts';

/** A connected program, and how it stands to what it is to run. */
export function describeClient(session: Session, view: string) {
  const { lastNack } = session;
  return {
    session: session.id,
    name: session.name,
    pid: session.pid,
    ...(session.peer && { uid: session.peer.uid }),
    // What a program says of itself is shown as that.
    ...(!session.peer?.pid && { isPidClaimed: true as const }),
    view,
    observer: session.isObserver,
    verifies: session.verifies,
    canary: session.isCanary,
    revision: session.held ?? 0,
    state: session.state,
    rejection: lastNack ? { code: lastNack.code, paths: [...lastNack.paths], message: lastNack.message } : null,
    failure: session.failure ?? null,
  };
}
