/** Skips a test and says why in the report, so that what did not run is seen. */
export function skipBecause(context: Mocha.Context, why: string): never {
  context.test!.title += ` (skipped, because ${why})`;
  return context.skip();
}
