import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Campaign, CampaignStep, NewCampaign, Selection } from "../../src/core/store/campaigns.ts";
import type { Store } from "../../src/core/store/store.ts";
import { events, never } from "../fixtures.ts";

/** What every CampaignStore keeps. `open` gives a fresh empty store. */
export function campaignContract(open: () => Promise<Store>): void {
  let store: Store;
  let count = 0;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
  });

  const seal = async (project: string, session: string, more: { collector?: string; label?: string } = {}) => {
    const { collector = "c", label } = more;
    const labels = label === undefined ? [] : [{ name: "site", value: label }];
    const info = { task: "t", collector, startUrl: "", userAgent: "", labels, rawJson: "" };
    await store.append(
      { ref: { project, session, stream: "main" }, epoch: undefined, firstSeq: 1n, events: events(1, 2), info },
      never,
    );
    const streams = [{ stream: "main", lastSeq: 2n }];
    await store.seal(
      { project, session, streams, allowMissingBlobs: true, expectedVersion: undefined, jobs: [] },
      never,
    );
  };
  const campaign = (more: Partial<NewCampaign> = {}): NewCampaign => ({
    id: `cmp_${++count}`,
    reason: "a test",
    plan: `plan ${count}`,
    selection: { project: "p" },
    stages: ["score", "assemble"],
    planned: 3,
    settings: { window: 10, rate: undefined, deadlineMs: undefined },
    createdAtMs: 1_000,
    ...more,
  });
  const step = (of: Campaign, more: Partial<CampaignStep>): CampaignStep => ({
    id: of.id,
    from: of.cursor,
    to: { createdAtMs: 5, id: "s5" },
    exhausted: false,
    passed: 1,
    jobs: [],
    ...more,
  });
  const job = (project: string, session: string, of: string) => ({
    kind: "score",
    project,
    session,
    priority: 7,
    campaign: of,
    stages: ["score", "assemble"],
  });

  it("names itself, the same each time", async () => {
    const id = await store.storeId(never);
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    expect(await store.storeId(never)).toBe(id);
  });

  it("keeps a plan by its hash", async () => {
    await store.keepPlan("h1", '{"a":1}', 1, never);
    await store.keepPlan("h1", '{"b":2}', 2, never);
    expect(await store.readPlan("h1", never)).toBe('{"a":1}');
    expect(await store.readPlan("h2", never)).toBeUndefined();
  });

  describe("a selection", () => {
    beforeAll(async () => {
      for (let n = 0; n < 7; n++) {
        await seal("sel", `s${n}`, { collector: n % 2 === 0 ? "even" : "odd", label: n < 3 ? "shop" : "bank" });
      }
      await store.append(
        {
          ref: { project: "sel", session: "open", stream: "main" },
          epoch: undefined,
          firstSeq: 1n,
          events: events(1, 1),
          info: undefined,
        },
        never,
      );
      await seal("other", "theirs");
    });
    const ids = async (selection: Partial<Selection>, limit = 100, scan = 100) => {
      const found: string[] = [];
      let after: { createdAtMs: number; id: string } | undefined;
      for (;;) {
        const page = await store.selectSessions(
          { selection: { project: "sel", ...selection }, after, limit, scan },
          never,
        );
        found.push(...page.sessions.map(({ id }) => id));
        if (page.exhausted) return found;
        after = page.cursor;
      }
    };

    it("is the project's sealed sessions, each once, however it is paged", async () => {
      const all = ["s0", "s1", "s2", "s3", "s4", "s5", "s6"];
      for (const [limit, scan] of [
        [100, 100],
        [1, 100],
        [2, 3],
        [3, 2],
        [1, 1],
        [7, 7],
      ] as const) {
        expect((await ids({}, limit, scan)).toSorted(), `limit ${limit} scan ${scan}`).toEqual(all);
      }
    });

    it("goes by id, collector, label, score and signature, and counts what it selects", async () => {
      const cases: readonly [Partial<Selection>, string[]][] = [
        [{ ids: ["s1", "s5", "nobody"] }, ["s1", "s5"]],
        [{ collector: "even" }, ["s0", "s2", "s4", "s6"]],
        [{ labels: [{ name: "site", value: "shop" }] }, ["s0", "s1", "s2"]],
        [{ labels: [{ name: "site", value: "shop" }], collector: "odd" }, ["s1"]],
        [{ minScore: 0 }, []],
        [{ signatures: [""] }, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]],
        [{ signatures: ["validate:1:abc"] }, []],
        [{ untilMs: 1 }, []],
      ];
      for (const [selection, expected] of cases) {
        expect((await ids(selection, 2, 3)).toSorted()).toEqual(expected);
        const counts = await store.countSessions({ project: "sel", ...selection }, never);
        expect(counts.reduce((sum, { sessions }) => sum + sessions, 0)).toBe(expected.length);
      }
    });
  });

  describe("a campaign", () => {
    it("begins at the start with nothing done, and is read and listed", async () => {
      const made = await store.createCampaign(campaign(), never);
      expect(made).toMatchObject({
        state: "running",
        version: 1,
        cursor: undefined,
        exhausted: false,
        passed: 0,
        brought: 0,
        jobs: { open: 0, done: 0, dead: 0, cancelled: 0 },
      });
      expect(await store.readCampaign(made.id, never)).toEqual(made);
      expect((await store.listCampaigns({ limit: 1, states: undefined }, never))[0]).toEqual(made);
      expect(await store.listCampaigns({ limit: 10, states: ["paused"] }, never)).toEqual([]);
      expect(await store.readCampaign("nobody", never)).toBeUndefined();
    });

    it("applies a plan that no other unfinished one applies", async () => {
      const first = await store.createCampaign(campaign({ plan: "shared" }), never);
      await expect(store.createCampaign(campaign({ plan: "shared" }), never)).rejects.toMatchObject({
        code: "conflict",
        reason: "CAMPAIGN_EXISTS",
        metadata: { campaign: first.id },
      });
      await store.changeCampaign({ id: first.id, version: undefined, state: "cancelled" }, 2_000, never);
      await expect(store.createCampaign(campaign({ plan: "shared" }), never)).resolves.toBeDefined();
    });

    it("moves its cursor and brings jobs together, or neither", async () => {
      await seal("p", "c1");
      await seal("p", "c2");
      const made = await store.createCampaign(campaign(), never);
      const jobs = [job("p", "c1", made.id), job("p", "c2", made.id)];
      const moved = await store.advanceCampaign(step(made, { passed: 2, jobs }), 2_000, never);
      expect(moved).toMatchObject({ cursor: { createdAtMs: 5, id: "s5" }, passed: 2, brought: 2, jobs: { open: 2 } });
      // A second driver that read it before.
      await expect(store.advanceCampaign(step(made, { passed: 2, jobs }), 2_000, never)).rejects.toMatchObject({
        code: "aborted",
        reason: "CURSOR_MOVED",
      });
      expect(await store.readCampaign(made.id, never)).toEqual(moved);
      const again = await store.advanceCampaign(
        step(moved, { to: { createdAtMs: 6, id: "s6" }, jobs: [job("p", "c1", made.id)] }),
        3_000,
        never,
      );
      expect(again).toMatchObject({ passed: 3, brought: 2, jobs: { open: 2 } });
    });

    it("does not move when it is paused, exhausted or ended", async () => {
      const made = await store.createCampaign(campaign(), never);
      await store.changeCampaign({ id: made.id, version: 1, state: "paused" }, 2_000, never);
      await expect(store.advanceCampaign(step(made, {}), 2_000, never)).rejects.toMatchObject({
        reason: "CURSOR_MOVED",
      });
      await store.changeCampaign({ id: made.id, version: 2, state: "running" }, 2_000, never);
      const through = await store.advanceCampaign(step(made, { exhausted: true }), 2_000, never);
      await expect(store.advanceCampaign(step(through, {}), 2_000, never)).rejects.toMatchObject({
        reason: "CURSOR_MOVED",
      });
    });

    it("changes only from the version that was seen, and never once it has ended", async () => {
      const made = await store.createCampaign(campaign(), never);
      const change = { id: made.id, version: 1 };
      const set = await store.changeCampaign(
        { ...change, settings: { rate: 5, deadlineMs: 9_000, window: 3 } },
        2_000,
        never,
      );
      expect(set).toMatchObject({ version: 2, settings: { window: 3, rate: 5, deadlineMs: 9_000 } });
      expect(set.pace).toEqual({ fromMs: 2_000, passed: 0 });
      await expect(store.changeCampaign({ ...change, state: "paused" }, 2_000, never)).rejects.toMatchObject({
        code: "aborted",
        reason: "VERSION_MOVED",
      });
      const cleared = await store.changeCampaign(
        { id: made.id, version: 2, settings: { rate: undefined } },
        2_000,
        never,
      );
      expect(cleared.settings).toEqual({ window: 3, rate: undefined, deadlineMs: 9_000 });
      const ended = await store.changeCampaign({ id: made.id, version: 3, state: "done" }, 4_000, never);
      expect(ended).toMatchObject({ state: "done", endedAtMs: 4_000 });
      await expect(
        store.changeCampaign({ id: made.id, version: undefined, state: "running" }, 5_000, never),
      ).rejects.toMatchObject({ code: "failed_precondition", reason: "CAMPAIGN_ENDED" });
      await expect(
        store.changeCampaign({ id: "nobody", version: undefined, state: "paused" }, 1, never),
      ).rejects.toMatchObject({ code: "not_found", reason: "CAMPAIGN_NOT_FOUND" });
    });

    it("notes who drives it without counting as changed", async () => {
      const made = await store.createCampaign(campaign(), never);
      await store.touchCampaign(made.id, 7_000, never);
      expect(await store.readCampaign(made.id, never)).toEqual({ ...made, drivenAtMs: 7_000 });
    });

    it("keeps how its jobs ended when the ledger has forgotten them", async () => {
      await seal("p", "k1");
      const made = await store.createCampaign(campaign(), never);
      await store.advanceCampaign(step(made, { jobs: [job("p", "k1", made.id)] }), 2_000, never);
      expect(await store.cancelJobs({ campaign: made.id }, 2_000, never)).toBe(1);
      const ended = await store.changeCampaign({ id: made.id, version: undefined, state: "cancelled" }, 3_000, never);
      expect(ended.jobs).toEqual({ open: 0, done: 0, dead: 0, cancelled: 1 });
      await store.pruneJobs(10_000, 1_000, never);
      expect((await store.readCampaign(made.id, never))?.jobs).toEqual(ended.jobs);
    });
  });
}
