import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ChildWorker } from "./child-worker.ts";
import type { Place } from "./place.ts";

export interface WorkOptions {
  readonly args?: readonly string[];
  /** Settings: `{ SLUICE_JOBS_LEASE: "1s" }`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `sluice work` with the stages of poison-stages.ts in a process of its own, on the place's store. */
export class WorkProcess extends ChildWorker {
  constructor({ dir, config }: Place, { args = [], env = {} }: WorkOptions = {}) {
    const { store, blobs } = config;
    super({ args: [WORK, "work", "--store", store.url, "--blobs", blobs.url, ...args], cwd: dir, env });
  }

  /** The processes that run its stages. */
  get hosts(): number[] {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8");
    return children.split(" ").filter(Boolean).map(Number);
  }
}

const WORK = fileURLToPath(new URL("./work.ts", import.meta.url));
