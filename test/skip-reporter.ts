import type { Reporter, TestModule } from "vitest/node";

/** What no installation puts right: recordings that lie beside the repository, and what a sandbox forbids. */
const EXCUSED = /\.\.\/shared|needs root|no address but loopback/;

/**
 * Names every test that was skipped, and why. With CI=true a skipped test fails the run, unless its
 * reason is excused: there the tools are installed, and a test that quietly does nothing proves nothing.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")]);
    const excused: string[] = [];
    const unexcused: string[] = [];
    for (const test of skipped) {
      const result = test.result();
      const reason = (result.state === "skipped" ? result.note : undefined) ?? "no reason was given";
      const line = `skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${reason}`;
      (EXCUSED.test(reason) ? excused : unexcused).push(line);
    }
    for (const line of [...excused, ...unexcused]) process.stderr.write(`${line}\n`);
    if (process.env.CI !== "true" || unexcused.length === 0) return;
    process.stderr.write(`${unexcused.length} skipped tests fail the run, for CI is true.\n`);
    process.exitCode = 1;
  }
}
