/**
 * A collector in a process of its own, to be killed: pushes events one after another, from the
 * seq the spool says, and writes each seq on stdout when its push has resolved.
 */
import { writeSync } from "node:fs";
import { Collector } from "../../src/client/index.ts";
import { eventOf } from "./recordings.ts";

const [spoolDir = "", url = "", at = "4"] = process.argv.slice(2);
const collector = await Collector.open({
  url,
  spoolDir,
  maxSpoolBytes: 8 * 1024 * 1024,
  backoff: { baseMs: 1, maxMs: 10 },
});
const session = await collector.session({ id: "s1" });
const push = async () => {
  for (;;) {
    // The event that will get the next seq, as the test expects it; several pushes are under way.
    const seq = next++;
    const given = await session.push(eventOf(seq, 20 + (seq % 7) * 400), { maxBlockMs: 60_000 });
    writeSync(1, `${given} ${seq}\n`);
  }
};
let next = Number(session.nextSeq);
await Promise.all(Array.from({ length: Number(at) }, push));
