import type { Log, LogLevel } from '../ops/log.ts';
import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';

interface SessionLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a line takes besides its message. */
const lineBytes = 400;

/** Logs an event, where it is one to be logged. */
export function logSessionEvent(event: SessionEvent, session: Session, log: Log): void {
  const line = describeSessionEvent(event, session);
  if (line && (line.level === 'debug' || session.allowance.mayLog(bytesOf(line))))
    log(line.level, line.event, line.message, line.fields);
}

/** What is written of a line, about. */
function bytesOf({ message, fields }: SessionLine): number {
  const paths = (fields.paths ?? []) as readonly string[];
  return lineBytes + message.length + paths.reduce((sum, path) => sum + path.length, 0);
}

/** How an event is logged; `undefined` for one that is not. */
function describeSessionEvent(event: SessionEvent, session: Session): SessionLine | undefined {
  const { name, pid, id, view, peer } = session;
  const who = { subscriber: name, pid, session: id, view: view.name, ...(peer && { uid: peer.uid }) };
  switch (event.kind) {
    case 'joined': {
      const level = session.isObserver ? 'debug' : 'info';
      return { level, event: 'subscriber_connected', message: `${name} is connected`, fields: who };
    }
    case 'accepted': {
      const { revision, applyMs, waitedMs } = event;
      const message = `${name} runs revision ${revision}`;
      return { level: 'debug', event: 'subscriber_accepted_snapshot', message, fields: { ...who, applyMs, waitedMs } };
    }
    case 'rejected': {
      const { revision, code, paths, message: why } = event.nack;
      const message = `${name} rejects revision ${revision}: ${why}`;
      const fields = { ...who, revision, errorType: code, paths };
      return { level: 'warn', event: 'subscriber_rejected_snapshot', message, fields };
    }
    case 'reported': {
      const level = event.recovered ? 'info' : 'warn';
      const message = event.recovered ? `${name} has recovered: ${event.message}` : `${name} fails: ${event.message}`;
      return { level, event: 'subscriber_report', message, fields: { ...who, errorType: event.code } };
    }
    case 'refused': {
      const message = `a connection is refused: ${event.message}`;
      return { level: 'warn', event: 'subscriber_refused', message, fields: { ...who, errorType: event.code } };
    }
    case 'left': {
      const message = event.how === 'lost' ? `${name} is gone without a goodbye` : `${name} has left`;
      return { level: 'debug', event: 'subscriber_left', message, fields: who };
    }
    case 'vote': {
      const message = event.isLost
        ? `${name} did not answer two verifications in time: changes no longer wait for it`
        : `${name} answers verifications again`;
      const line = event.isLost ? 'subscriber_vote_lost' : 'subscriber_vote_regained';
      return { level: event.isLost ? 'warn' : 'info', event: line, message, fields: who };
    }
    case 'ahead': {
      const message = `${name} runs revision ${event.revision}, which is higher than any that this daemon knows`;
      return { level: 'warn', event: 'subscriber_ahead', message, fields: { ...who, revision: event.revision } };
    }
    default:
      return undefined;
  }
}
