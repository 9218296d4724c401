import { createLogger, format, transports, type Logger as Winston } from 'winston';
import { plainText } from '../model/plain-text.ts';
import type { Clock } from './clock.ts';
import type { Redaction } from './redaction.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** Writes one line per event. Every text in it is cleaned of known secrets. */
export type Log = (level: LogLevel, event: string, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface LogOptions {
  readonly level: string;
  readonly format: 'text' | 'json';
  readonly redaction: Redaction;
  readonly clock: Clock;
  readonly stream: NodeJS.WriteStream;
}

/** What a stalled reader of the log may hold up, in bytes; beyond it lines are dropped and counted. */
const maxBufferedBytes = 1024 * 1024;

/** The daemon's log: text for people, JSON for machines. A closed or stalled reader never stops the daemon. */
export function createLog({ level, format: shape, redaction, clock, stream }: LogOptions): {
  log: Log;
  close(): Promise<void>;
} {
  // EPIPE arrives as an event; without a listener it would end the process.
  stream.on('error', () => {});
  const winston = createLogger({
    level,
    format: shape === 'json' ? format.json() : format.printf((info) => textLine(info)),
    transports: [new transports.Stream({ stream, eol: '\n' })],
  });
  let dropped = 0;
  const log: Log = (level, event, message, fields = {}) => {
    if (!winston.isLevelEnabled(level)) return;
    if (stream.destroyed || stream.writableLength > maxBufferedBytes) {
      dropped++;
      return;
    }
    if (dropped > 0)
      winston.log({ level: 'warn', ...stamp('log_lines_dropped'), message: `${dropped} lines`, dropped });
    dropped = 0;
    winston.log({
      level,
      ...stamp(event),
      message: redaction.clean(message),
      ...(redaction.cleanValue(fields) as object),
    });
  };
  const stamp = (event: string) => ({ time: new Date(clock.wall()).toISOString(), event });
  return { log, close: () => closed(winston) };
}

/** `12:03:44.120 info  config_reload_completed  revision 4: 1 changed  revision=4 changed=database.url`. */
function textLine({ level, time, event, message, ...fields }: Record<string, unknown>): string {
  const shown = Object.entries(fields)
    .filter(([key, value]) => !key.startsWith('Symbol') && value !== undefined && key !== 'issues')
    .map(([key, value]) => `${key}=${textValue(value)}`);
  const head = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${event}  ${message}`;
  // What stands in names and messages must not forge a line or move a terminal's cursor.
  return plainText([head, shown.join(' ')].filter(Boolean).join('  ').replaceAll(/\s/g, ' '));
}

function textValue(value: unknown): string {
  if (Array.isArray(value)) return value.length > 8 ? `${value.slice(0, 8).join(',')},...` : value.join(',') || '-';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function closed(winston: Winston): Promise<void> {
  return new Promise((resolve) => {
    winston.once('finish', resolve);
    winston.end();
  });
}
