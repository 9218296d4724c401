const found: Error[] = [];
/** Of parts of Node that are new, which hotconf uses on purpose. */
const known = new Set(['ExperimentalWarning', 'SecurityWarning']);

/** Collects this process's warnings in place of printing them. */
export function collectWarnings(): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (!known.has(warning.name)) found.push(warning);
  });
}

/** The warnings since they were last taken. A test that has any and does not take them fails. */
export function takeWarnings(): readonly string[] {
  return found.splice(0).map(({ name, message }) => `${name}: ${message}`);
}
