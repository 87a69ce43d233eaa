import type { Command } from "commander";
import { registerCancel } from "./job-cancel.ts";
import { registerKinds } from "./job-kinds.ts";
import { registerList } from "./job-list.ts";
import { registerRedrive } from "./job-redrive.ts";
import { registerRetry } from "./job-retry.ts";
import { registerShow } from "./job-show.ts";
import { registerStats } from "./job-stats.ts";

export function register(jobs: Command): void {
  registerList(jobs);
  registerShow(jobs);
  registerStats(jobs);
  registerRetry(jobs);
  registerRedrive(jobs);
  registerCancel(jobs);
  registerKinds(jobs);
}
