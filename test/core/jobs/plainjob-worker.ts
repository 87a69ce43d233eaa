// A worker of plainjob that does what poison-stages.ts does to sessions named gated: it waits at the
// gate, then keeps a result.
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import Database from "better-sqlite3";
import { better, defineQueue, defineWorker } from "plainjob";

const database = new Database("plainjob.db");
database.exec("CREATE TABLE IF NOT EXISTS results (job INTEGER NOT NULL, pid INTEGER NOT NULL)");
const say = (text: string) => process.stderr.write(`${text}\n`);
const ignore = () => undefined;
const queue = defineQueue({
  connection: better(database),
  timeout: 1_000,
  maintenanceInterval: 100,
  logger: { error: say, warn: say, info: ignore, debug: ignore },
});
const worker = defineWorker(
  "gated",
  async ({ id }) => {
    writeFileSync(`waiting-${process.pid}`, "");
    while (!existsSync("open") && !existsSync(`open-${process.pid}`)) await wait(10);
    database.prepare("INSERT INTO results (job, pid) VALUES (?, ?)").run(id, process.pid);
  },
  {
    queue,
    pollIntervall: 10,
    logger: { error: say, warn: say, info: ignore, debug: ignore },
    onCompleted: ({ id }) => say(`accepted ${id}`),
  },
);
await worker.start();
