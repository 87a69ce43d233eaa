import type { Database } from "better-sqlite3";
import { AppError } from "../../errors.ts";
import type {
  Campaign,
  CampaignChange,
  CampaignJobs,
  CampaignQuery,
  CampaignState,
  CampaignStep,
  NewCampaign,
  SessionCursor,
} from "../campaigns.ts";
import type { Enqueued, NewJob } from "../jobs.ts";

interface Row {
  readonly key: number;
  readonly id: string;
  readonly reason: string;
  readonly plan: string;
  readonly selection: string;
  readonly stages: string;
  readonly planned: number;
  readonly state: CampaignState;
  readonly version: number;
  readonly window: number;
  readonly rate: number | null;
  readonly deadline: number | null;
  readonly cursor_at: number | null;
  readonly cursor_id: string | null;
  readonly exhausted: 0 | 1;
  readonly passed: number;
  readonly brought: number;
  readonly pace_from: number;
  readonly pace_passed: number;
  readonly final_jobs: string | null;
  readonly driven_at: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly ended_at: number | null;
}

/** Campaigns and plans. Reads work on any connection, writes inside the writer's transaction. */
export class CampaignTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  storeId(): string {
    const row = this.#database.prepare<[], { id: string }>("SELECT id FROM store_info").get();
    if (row === undefined) {
      throw new AppError("data_loss", "The store has lost its id.", { reason: "STORE_CORRUPT" });
    }
    return row.id;
  }

  keepPlan(args: { readonly hash: string; readonly json: string; readonly nowMs: number }): void {
    this.#database
      .prepare("INSERT OR IGNORE INTO plans (hash, plan, made_at) VALUES (?, ?, ?)")
      .run(args.hash, args.json, args.nowMs);
    this.#database
      .prepare("DELETE FROM plans WHERE hash IN (SELECT hash FROM plans ORDER BY made_at DESC LIMIT -1 OFFSET ?)")
      .run(PLANS_KEPT);
  }

  readPlan(hash: string): string | undefined {
    return this.#database.prepare<[string], { plan: string }>("SELECT plan FROM plans WHERE hash = ?").get(hash)?.plan;
  }

  create(campaign: NewCampaign): Campaign {
    const { settings } = campaign;
    const unfinished = this.#database
      .prepare<[string], { id: string; state: string }>(
        "SELECT id, state FROM campaigns WHERE plan = ? AND state IN ('running', 'paused', 'budget')",
      )
      .get(campaign.plan);
    if (unfinished !== undefined) throw exists(unfinished);
    this.#database
      .prepare(
        `INSERT INTO campaigns (id, reason, plan, selection, stages, planned, "window", rate, deadline, pace_from, driven_at, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        campaign.id,
        campaign.reason,
        campaign.plan,
        JSON.stringify(campaign.selection),
        JSON.stringify(campaign.stages),
        campaign.planned,
        settings.window,
        settings.rate ?? null,
        settings.deadlineMs ?? null,
        campaign.createdAtMs,
        campaign.createdAtMs,
        campaign.createdAtMs,
        campaign.createdAtMs,
      );
    return this.#campaign(this.#existing(campaign.id));
  }

  read(id: string): Campaign | undefined {
    const row = this.#row(id);
    return row && this.#campaign(row);
  }

  list({ limit, states }: CampaignQuery): Campaign[] {
    return this.#database
      .prepare<[string | null, string | null, number], Row>(
        `SELECT * FROM campaigns WHERE ? IS NULL OR state IN (SELECT value FROM json_each(?)) ORDER BY key DESC LIMIT ?`,
      )
      .all(states === undefined ? null : "", states === undefined ? null : JSON.stringify(states), limit)
      .map((row) => this.#campaign(row));
  }

  change({ id, version, state, settings }: CampaignChange, nowMs: number): Campaign {
    const row = this.#existing(id);
    if (version !== undefined && version !== row.version) throw moved(row);
    if (row.ended_at !== null) throw ended(row);
    const next = state ?? row.state;
    const ends = next === "done" || next === "cancelled";
    const { window = row.window } = settings ?? {};
    const rate = settings !== undefined && "rate" in settings ? (settings.rate ?? null) : row.rate;
    const deadline = settings !== undefined && "deadlineMs" in settings ? (settings.deadlineMs ?? null) : row.deadline;
    this.#database
      .prepare(
        `UPDATE campaigns SET state = ?, "window" = ?, rate = ?, deadline = ?, version = version + 1, updated_at = ?,
         pace_from = ?, pace_passed = passed, ended_at = ?, final_jobs = ? WHERE key = ?`,
      )
      .run(
        next,
        window,
        rate,
        deadline,
        nowMs,
        nowMs,
        ends ? nowMs : null,
        ends ? JSON.stringify(this.#jobs(row.id)) : null,
        row.key,
      );
    return this.#campaign(this.#existing(id));
  }

  /** `enqueue` puts jobs into the ledger, in this transaction. */
  advance(step: CampaignStep, nowMs: number, enqueue: (jobs: readonly NewJob[]) => Enqueued): Campaign {
    const row = this.#existing(step.id);
    const cursor = cursorOf(row);
    const here = cursor?.createdAtMs === step.from?.createdAtMs && cursor?.id === step.from?.id;
    if (row.state !== "running" || row.exhausted === 1 || !here) {
      throw new AppError("aborted", `Campaign ${row.id} has moved on; read it and go on from there.`, {
        reason: "CURSOR_MOVED",
      });
    }
    const { added } = enqueue(step.jobs);
    const to = step.to ?? step.from;
    this.#database
      .prepare(
        `UPDATE campaigns SET cursor_at = ?, cursor_id = ?, exhausted = ?, passed = passed + ?, brought = brought + ?,
         driven_at = ?, updated_at = ? WHERE key = ?`,
      )
      .run(to?.createdAtMs ?? null, to?.id ?? null, step.exhausted ? 1 : 0, step.passed, added, nowMs, nowMs, row.key);
    return this.#campaign(this.#existing(step.id));
  }

  touch(id: string, nowMs: number): void {
    this.#database.prepare("UPDATE campaigns SET driven_at = ? WHERE id = ?").run(nowMs, id);
  }

  #row(id: string): Row | undefined {
    return this.#database.prepare<[string], Row>("SELECT * FROM campaigns WHERE id = ?").get(id);
  }

  #existing(id: string): Row {
    const row = this.#row(id);
    if (row !== undefined) return row;
    throw new AppError("not_found", `There is no campaign ${id}; sluice campaigns list has those there are.`, {
      reason: "CAMPAIGN_NOT_FOUND",
    });
  }

  #jobs(id: string): CampaignJobs {
    const counts = new Map(
      this.#database
        .prepare<[string], { state: string; count: number }>(
          "SELECT state, count(*) AS count FROM jobs WHERE campaign = ? GROUP BY state",
        )
        .all(id)
        .map(({ state, count }) => [state, count]),
    );
    const of = (...states: string[]) => states.reduce((sum, state) => sum + (counts.get(state) ?? 0), 0);
    return {
      open: of("scheduled", "available", "running"),
      done: of("done"),
      dead: of("dead"),
      cancelled: of("cancelled"),
    };
  }

  #campaign(row: Row): Campaign {
    return {
      id: row.id,
      reason: row.reason,
      plan: row.plan,
      selection: JSON.parse(row.selection),
      stages: JSON.parse(row.stages),
      planned: row.planned,
      settings: { window: row.window, rate: row.rate ?? undefined, deadlineMs: row.deadline ?? undefined },
      createdAtMs: row.created_at,
      state: row.state,
      version: row.version,
      cursor: cursorOf(row),
      exhausted: row.exhausted === 1,
      passed: row.passed,
      brought: row.brought,
      pace: { fromMs: row.pace_from, passed: row.pace_passed },
      jobs: row.final_jobs === null ? this.#jobs(row.id) : JSON.parse(row.final_jobs),
      drivenAtMs: row.driven_at,
      updatedAtMs: row.updated_at,
      endedAtMs: row.ended_at ?? undefined,
    };
  }
}

const PLANS_KEPT = 1_000;

function cursorOf({ cursor_at, cursor_id }: Row): SessionCursor | undefined {
  return cursor_at === null || cursor_id === null ? undefined : { createdAtMs: cursor_at, id: cursor_id };
}

function exists({ id, state }: { readonly id: string; readonly state: string }): AppError {
  const what = state === "running" ? "is being applied" : `waits (${state})`;
  return new AppError(
    "conflict",
    `This plan ${what} as campaign ${id}. See it with: sluice campaigns show ${id}; go on with: sluice campaigns resume ${id}`,
    { reason: "CAMPAIGN_EXISTS", metadata: { campaign: id } },
  );
}

function moved({ id, version }: Row): AppError {
  return new AppError("aborted", `Campaign ${id} has moved to version ${version}; read it and decide again.`, {
    reason: "VERSION_MOVED",
    metadata: { version: String(version) },
  });
}

function ended({ id, state }: Row): AppError {
  return new AppError("failed_precondition", `Campaign ${id} is ${state}; plan again to begin another.`, {
    reason: "CAMPAIGN_ENDED",
  });
}
