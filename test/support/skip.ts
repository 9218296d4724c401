/** Skips a test, or all of a suite from its `before`, and says why in the list at the end of the run. */
export function skipBecause(context: Mocha.Context, why: string): never {
  // In a hook the test is the hook itself; what it keeps from running is the suite's.
  const tests =
    (context.test as Mocha.Runnable & { type?: string }).type === 'hook'
      ? testsBelow(context.test!.parent!)
      : [context.test!];
  for (const test of tests) if (!test.title.endsWith(`(${why})`)) test.title += ` (${why})`;
  return context.skip();
}

function testsBelow(suite: Mocha.Suite): Mocha.Runnable[] {
  return [...suite.tests, ...suite.suites.flatMap(testsBelow)];
}
