import fc from "fast-check";
import { JOB_STATES, type JobFilter, type KindSettings } from "../../../src/core/store/jobs.ts";
import type { Ending } from "./jobs-oracle.ts";

export const SESSIONS = 3;
export const KINDS = ["a", "b"];

/** Which of the two owners of a store acts. */
export type Owner = 0 | 1;

export type Command = { readonly owner: Owner } & (
  | { readonly do: "enqueue"; readonly jobs: readonly JobPlan[] }
  | { readonly do: "claim"; readonly kinds: readonly KindPlan[]; readonly total: number; readonly leaseMs: number }
  | { readonly do: "heartbeat"; readonly leases: readonly number[]; readonly forMs: number }
  | { readonly do: "settle"; readonly endings: readonly { readonly lease: number; readonly plan: EndPlan }[] }
  | { readonly do: "rescue" | "prune" | "check" }
  | { readonly do: "change"; readonly change: "cancel" | "redrive" | "runNow"; readonly filter: FilterPlan }
  | { readonly do: "kind"; readonly kind: string; readonly change: KindSettings }
  | { readonly do: "wait"; readonly ms: number }
);

export interface JobPlan {
  readonly kind: string;
  readonly session: number;
  readonly priority: number;
  readonly inMs: number;
  readonly campaign: string | undefined;
}

interface KindPlan {
  readonly kind: string;
  readonly limit: number;
}

interface EndPlan {
  readonly outcome: Ending["outcome"];
  readonly inMs: number;
  readonly gives: boolean;
  readonly follow: readonly JobPlan[];
}

/** `lease` picks one of the leases there ever were. */
interface FilterPlan extends JobFilter {
  readonly lease?: number;
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const OWNER = fc.constantFrom<Owner>(0, 1);
const KIND = fc.constantFrom(...KINDS);
const LEASE = fc.nat(40);
const MS = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 60 }) },
);
const JOB: fc.Arbitrary<JobPlan> = fc.record({
  kind: KIND,
  session: fc.nat(SESSIONS - 1),
  priority: fc.nat(2),
  inMs: MS,
  campaign: optional(fc.constantFrom("c1", "c2")),
});
const END: fc.Arbitrary<EndPlan> = fc.record({
  outcome: fc.constantFrom<Ending["outcome"]>("done", "done", "retry", "snooze", "discard", "cancelled"),
  inMs: MS,
  gives: fc.boolean(),
  follow: fc.array(JOB, { maxLength: 2 }),
});
const FILTER: fc.Arbitrary<FilterPlan> = fc.oneof(
  fc.constant<FilterPlan>({}),
  fc.record({ lease: LEASE }),
  fc.record(
    {
      kind: KIND,
      session: fc.nat(SESSIONS - 1).map((session) => `s${session}`),
      campaign: fc.constantFrom("c1", "c2"),
      state: fc.constantFrom(...JOB_STATES),
      reason: fc.constantFrom("FLAKY", "LOST_TOO_OFTEN"),
    },
    { requiredKeys: [] },
  ),
);
const COMMAND: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("enqueue" as const), owner: OWNER, jobs: fc.array(JOB, { maxLength: 5 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      owner: OWNER,
      kinds: fc.uniqueArray(fc.record({ kind: KIND, limit: fc.nat(3) }), { selector: ({ kind }) => kind }),
      total: fc.nat(5),
      leaseMs: fc.integer({ min: 1, max: 80 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("heartbeat" as const),
      owner: OWNER,
      leases: fc.array(LEASE, { maxLength: 4 }),
      forMs: MS,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      owner: OWNER,
      endings: fc.array(fc.record({ lease: LEASE, plan: END }), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("rescue" as const, "prune" as const), owner: OWNER }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      owner: OWNER,
      change: fc.constantFrom("cancel" as const, "cancel" as const, "redrive" as const, "runNow" as const),
      filter: FILTER,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("kind" as const),
      owner: OWNER,
      kind: KIND,
      change: fc.oneof<fc.Arbitrary<KindSettings>[]>(
        fc.record({ paused: fc.constantFrom(true, false, false) }),
        fc.record({ maxRunning: optional(fc.nat(3)) }),
      ),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("wait" as const), owner: OWNER, ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("check" as const), owner: OWNER }) },
);
/** What becomes of one project's jobs. Few sessions and kinds, so that commands meet. */
export const HISTORY = fc.array(COMMAND, { minLength: 1, maxLength: 30, size: "max" });
