import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { AppError } from "../../../src/core/errors.ts";
import type { AnyStage } from "../../../src/core/pipeline/pipeline.ts";
import type { Recorded } from "../../../src/core/pipeline/recorded.ts";
import type { StageIo } from "../../../src/core/pipeline/stage.ts";
import { smallStages } from "../pipeline/small-stages.ts";

/** The small stages, of which the first does to a session what its name begins with. */
export const STAGES: readonly AnyStage[] = smallStages({
  validate: { run: async (inputs, _params, io) => await suffer(INPUTS.parse(inputs).recording, io) },
});

const INPUTS = z.object({ recording: z.custom<Recorded>() });

async function suffer({ session, events }: Recorded, io: StageIo): Promise<unknown> {
  switch (session.split("-")[0]) {
    case "loops":
      for (;;);
    case "eats":
      for (const eaten: number[][] = []; ; ) eaten.push(Array.from({ length: 100_000 }, Math.random));
    case "aborts":
      return process.abort();
    case "exits":
      return process.exit(7);
    case "throws":
      throw new TypeError(`a recorded value of ${session}`);
    case "abandons":
      queueMicrotask(() => JSON.parse("{hunter2"));
      return await never(io.signal);
    case "refuses":
      throw new AppError("failed_precondition", "Nothing can be made of this.", { reason: "SESSION_TOO_LARGE" });
    case "waits":
      return await never(io.signal);
    case "clings":
      return await never(new AbortController().signal);
    case "gated":
      return await gate();
    case "pid":
      return { pid: process.pid };
    default:
      return { events: events.length };
  }
}

/** Waits for the file `open` in the working directory, or one for the worker it runs for. */
async function gate(): Promise<unknown> {
  writeFileSync(`waiting-${process.ppid}`, "");
  while (!existsSync("open") && !existsSync(`open-${process.ppid}`)) await wait(10);
  writeFileSync(`passed-${process.ppid}`, "");
  return { passed: 1 };
}

/** Waits until the signal aborts; a timer keeps the process there. */
function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const timer = setInterval(() => undefined, 60_000);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      reject(signal.reason);
    });
  });
}
