import type { Config } from "../config.ts";
import type { StageRun, StageTask } from "../pipeline/run.ts";
import type { PipelineSettings } from "../pipeline/settings.ts";
import type { PlainError } from "../plain-error.ts";

/** What a worker tells a stage host, over IPC. `start` comes once, first; one `run` is answered before the next. */
export type ToHost =
  | { readonly type: "start"; readonly setup: HostSetup }
  | { readonly type: "run"; readonly task: StageTask }
  /** End what is running; it is still answered. */
  | { readonly type: "cancel" };

/** What a host can't find out by itself. */
export interface HostSetup {
  readonly config: Config;
  readonly settings: PipelineSettings;
  /** URL of a module that exports STAGES. */
  readonly stages: string;
}

export type FromHost =
  | { readonly type: "ready" }
  | { readonly type: "refused"; readonly error: PlainError }
  | { readonly type: "done"; readonly run: StageRun }
  | { readonly type: "failed"; readonly error: PlainError }
  /** Something a stage left behind threw: the host ends. */
  | { readonly type: "dying"; readonly error: PlainError };
