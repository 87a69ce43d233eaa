import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { openApp } from "../../src/core/app.ts";
import { loadConfig } from "../../src/core/config.ts";
import { headsByStage } from "../../src/core/pipeline/freshness.ts";
import { type Outputs, STAGE_NAMES, type StageName } from "../../src/core/pipeline/stage.ts";
import type { Session, Store } from "../../src/core/store/store.ts";
import { finished, Workplace } from "../cli/sluice.ts";
import { DaemonProcess } from "../daemon/process.ts";
import { never } from "../fixtures.ts";

const SAMPLE = fileURLToPath(new URL("../../dev/sample", import.meta.url));
const SHARED = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
/** What some importer reads, with how many sessions it holds. */
const RECORDINGS: readonly (readonly [path: string, sessions: number])[] = [
  [SAMPLE, 3],
  [`${SHARED}codesight`, 4],
  [`${SHARED}agentnet/bench`, 2],
  [`${SHARED}agentnet/cot`, 1],
  [`${SHARED}agentnet/raw-recording`, 1],
  [`${SHARED}puppeteer-replay/history/9779c7b4-benchmark.json`, 1],
  [`${SHARED}playwright/tests/assets/trace-1.31.zip`, 1],
  [`${SHARED}playwright/tests/assets/trace-remote-time-diff.zip`, 1],
  [`${SHARED}cross-format/book-flight/trace.zip`, 1],
  [`${SHARED}cross-format/book-flight/rrweb.json`, 1],
  [`${SHARED}rrweb/events/rrweb-player-public-events.json`, 1],
  [`${SHARED}cross-format/text-editor/trace.zip`, 1],
];

const PATIENCE = { timeout: 240_000, interval: 200 };

test("every recording that can be imported goes through every stage, and what became of each is told", async () => {
  const here = RECORDINGS.filter(([path]) => existsSync(path));
  if (here.length < RECORDINGS.length) process.stdout.write("without ../shared/data only the sample is processed\n");
  const directory = await mkdtemp(join(tmpdir(), "sluice-pipeline-"));
  try {
    await using place = await Workplace.open();
    await using daemon = await DaemonProcess.start({ directory });
    const url = await daemon.ready;
    for (const [path] of here) {
      const pushed = await finished(place.spawn(["push", path, "--to", url]));
      // Events that can't be valid are quarantined and told by 3; they stay in the count below.
      expect([0, 3], pushed.stderr).toContain(pushed.code);
    }
    const flags = { store: `sqlite:${directory}/sluice.db`, blobs: `file:${directory}/blobs` };
    const { values } = await loadConfig({ flags, env: {}, cwd: directory, file: undefined });
    await using app = await openApp(values, { create: false });
    await vi.waitFor(async () => {
      const stats = await app.store.jobStats(Date.now(), never);
      const open = stats.reduce((sum, { counts }) => sum + counts.available + counts.running + counts.scheduled, 0);
      if (open > 0) throw new Error(`${open} jobs are not finished`);
    }, PATIENCE);
    const { jobs: dead } = await app.store.listJobs({ state: "dead", limit: 100, cursor: undefined }, never);
    expect(dead.map(({ kind, session, error }) => `${kind} of ${session}: ${error?.reason} ${error?.message}`)).toEqual(
      [],
    );

    const query = { project: "default", limit: 100, cursor: undefined, status: undefined, labels: [] };
    const { sessions } = await app.store.listSessions(
      { ...query, sinceMs: undefined, untilMs: undefined, collector: undefined },
      never,
    );
    expect(sessions).toHaveLength(here.reduce((sum, [, count]) => sum + count, 0));
    const rows: Record<string, unknown>[] = [];
    for (const session of sessions) rows.push(await outcomeOf(app.store, session));
    process.stdout.write(`${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);
  } finally {
    await rm(directory, { recursive: true, maxRetries: 10 });
  }
});

/** What became of a session's events, as counts; checks that every one is accounted for at every stage. */
async function outcomeOf(store: Store, session: Session): Promise<Record<string, unknown>> {
  const heads = headsByStage(await store.readHeads("default", session.id, never));
  expect([...heads.keys()].toSorted(), session.id).toEqual([...STAGE_NAMES].toSorted());
  const read = async <S extends StageName>(stage: S): Promise<Outputs[S]> => {
    const artifact = await store.readArtifact("default", session.id, heads.get(stage)?.key ?? "", never);
    return JSON.parse(Buffer.from(artifact?.data ?? "").toString());
  };
  const validated = await read("validate");
  const redacted = await read("redact");
  const reduced = await read("reduce");
  const scored = await read("score");
  const assembled = await read("assemble");
  expect(validated.events.length + validated.dropped.length).toBe(session.state.events);
  expect(redacted.events).toHaveLength(validated.events.length);
  const inActions = reduced.actions.reduce((sum, { events }) => sum + events.length, 0);
  expect(inActions + reduced.unused.length).toBe(redacted.events.length);
  expect(assembled.steps).toHaveLength(reduced.actions.length);
  expect(scored.overall).toBeGreaterThanOrEqual(0);
  expect(scored.overall).toBeLessThanOrEqual(100);
  const { painted, clean, withheld } = redacted.report.screenshots;
  return {
    session: session.id,
    events: session.state.events,
    quarantined: session.state.quarantined,
    findings: validated.findings.length,
    dropped: validated.dropped.length,
    redacted: redacted.report.values,
    screenshots: { painted, clean, withheld: withheld.length },
    actions: reduced.actions.length,
    unused: reduced.unused.length,
    score: scored.overall,
  };
}
