import type { Reporter, TestCase, TestModule } from "vitest/node";

/** What no installation puts right: recordings that lie beside the repository, and what a sandbox forbids. */
const EXCUSED = /\.\.\/shared|needs root|mounted|no address but loopback/;

/**
 * Tells how many tests were skipped, where and why. With CI=true a skipped test fails the run, unless
 * its reason is excused: there the tools are installed, and a test that does nothing proves nothing.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Map<string, number>();
    let unexcused = 0;
    for (const test of modules.flatMap((module) => [...module.children.allTests("skipped")])) {
      const reason = reasonOf(test);
      const where = `${test.module.relativeModuleId}: ${reason}`;
      skipped.set(where, (skipped.get(where) ?? 0) + 1);
      if (!EXCUSED.test(reason)) unexcused += 1;
    }
    for (const [where, count] of skipped) process.stderr.write(`skipped ${count} of ${where}\n`);
    if (process.env.CI !== "true" || unexcused === 0) return;
    process.stderr.write(`${unexcused} skipped tests fail the run, for CI is true\n`);
    process.exitCode = 1;
  }
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  return (result.state === "skipped" ? result.note : undefined) ?? "no reason was given";
}
