/**
 * A collector in a process of its own, to be killed or watched: pushes so many events at a time,
 * and writes the seq each got and the one expected on stdout when its push has resolved. Goes on
 * for ever, or for `count` events.
 */
import { writeSync } from "node:fs";
import { Collector } from "../../src/client/index.ts";
import { eventOf } from "./recordings.ts";

const [spoolDir = "", url = "", atOnce = "4", count = "Infinity"] = process.argv.slice(2);
const options = { url, spoolDir, maxSpoolBytes: 8 * 1024 * 1024, backoff: { baseMs: 1, maxMs: 10 } };
await using collector = await Collector.open(options);
const session = await collector.session({ id: "s1" });
const end = Number(session.nextSeq) + Number(count);
let next = Number(session.nextSeq);
const push = async () => {
  while (next < end) {
    const seq = next++;
    const given = await session.push(eventOf(seq, 20 + (seq % 7) * 400), { maxBlockMs: 60_000 });
    writeSync(1, `${given} ${seq}\n`);
  }
};
await Promise.all(Array.from({ length: Number(atOnce) }, push));
