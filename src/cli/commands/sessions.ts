import type { Command } from "commander";
import { registerBlob } from "./session-blob.ts";
import { registerEvents } from "./session-events.ts";
import { registerExplain } from "./session-explain.ts";
import { registerList } from "./session-list.ts";
import { registerResult } from "./session-result.ts";
import { registerShow } from "./session-show.ts";
import { registerTail } from "./session-tail.ts";

export function register(sessions: Command): void {
  registerList(sessions);
  registerShow(sessions);
  registerResult(sessions);
  registerExplain(sessions);
  registerTail(sessions);
  registerEvents(sessions);
  registerBlob(sessions);
}
