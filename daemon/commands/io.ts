import { plainText } from '../model/plain-text.ts';
/** Options that every command has. */
export interface SharedOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Where a command's words go: answers to stdout, talk to stderr. */
export interface Io {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
}

/** One JSON document. */
export function printJson({ stdout }: Io, value: unknown): void {
  stdout.write(`${JSON.stringify(value)}\n`);
}

export function printLines({ stdout }: Io, lines: readonly string[]): void {
  stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** Rows with their columns aligned, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => plainText(cell).padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

/** The local time of an ISO 8601 text. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  const pad = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
