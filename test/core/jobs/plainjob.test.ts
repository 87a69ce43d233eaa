import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { better, defineQueue, JobStatus } from "plainjob";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../daemon/daemon.ts";
import { ChildWorker } from "./child-worker.ts";

const WORKER = fileURLToPath(new URL("./plainjob-worker.ts", import.meta.url));

let dir: string;
let workers: ChildWorker[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sluice-plainjob-"));
  workers = [];
});
afterEach(async () => {
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

/** The script of work.test.ts, on a queue without fences: it tells a zombie that writes from one that can't. */
test("a control: a zombie's completion is accepted by a queue without fences, and the job's result is there twice", async () => {
  const database = new Database(join(dir, "plainjob.db"));
  const quiet = () => undefined;
  const logger = { error: quiet, warn: quiet, info: quiet, debug: quiet };
  const queue = defineQueue({ connection: better(database), maintenanceInterval: 1e9, logger });
  const { id } = queue.add("gated", {});
  const work = async (): Promise<ChildWorker> => {
    const worker = new ChildWorker({ args: [WORKER], cwd: dir });
    workers.push(worker);
    await eventually(async () => expect(existsSync(join(dir, `waiting-${worker.pid}`)), worker.stderr).toBe(true));
    return worker;
  };
  const zombie = await work();
  zombie.signal("SIGSTOP");
  const other = await work();
  expect(queue.getJobById(id)).toMatchObject({ status: JobStatus.Processing });

  await writeFile(join(dir, `open-${zombie.pid}`), "");
  zombie.signal("SIGCONT");
  await zombie.says(`accepted ${id}`);
  expect(queue.getJobById(id)).toMatchObject({ status: JobStatus.Done });
  await writeFile(join(dir, "open"), "");
  await other.says(`accepted ${id}`);
  const results = database.prepare("SELECT job, pid FROM results ORDER BY rowid").all();
  expect(results).toEqual([zombie, other].map(({ pid }) => ({ job: id, pid })));
  queue.close();
  database.close();
});
