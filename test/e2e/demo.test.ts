import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test("the demo streams the sample through a kill -9, and says that nothing was lost or doubled", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["dev/demo.ts"], { cwd: ROOT });
  for (const what of ["events", "screenshots"]) {
    const [sent, acked, stored, ...wrong] = countsOf(stdout, what);
    expect(sent).toBeGreaterThan(0);
    expect([acked, stored, ...wrong]).toEqual([sent, sent, 0, 0, 0]);
  }
  expect(stdout).toContain("kill -9");
  // What came of it: actions with placeholders for what was typed, a score, what was redacted, and two screenshots.
  expect(stdout).toMatch(/^ +\d+ {2}type\(.*<EMAIL_1>/m);
  expect(stdout).toMatch(/^score +\d+(\.\d)? of 100: /m);
  expect(stdout).toMatch(/^redacted distinct values: .*\d email/m);
  expect(stdout).toMatch(
    /\/data\/blobs\/default\/..\/[0-9a-f]{64}\n.*\n.*\/data\/derived\/default\/..\/[0-9a-f]{64}$/m,
  );
  // A dataset of it, each example of which comes from the events.
  expect(stdout).toMatch(/^train +3 +\d{2,}$/m);
  expect(stdout).toMatch(/^Every session has the events that were exported, and they give these files again\.$/m);
});

/** The numbers in the row that begins with this word. */
function countsOf(text: string, row: string): number[] {
  const line = text.split("\n").find((candidate) => new RegExp(`^${row}( +\\d+){6}$`).test(candidate));
  return (line ?? "").split(/ +/).slice(1).map(Number);
}
