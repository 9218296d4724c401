/** Skips a test and says why in the report, so that what did not run is seen. */
export function skipBecause(context: Mocha.Context, why: string): never {
  // The reporter of a whole run shows no titles.
  console.log(`      skipped, because ${why}`);
  context.test!.title += ` (skipped, because ${why})`;
  return context.skip();
}
