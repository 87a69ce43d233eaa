import type { Command } from "commander";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { wholeNumber } from "../format.ts";
import { open } from "../open-store.ts";
import { eventFields, noSession } from "../session-fields.ts";

interface EventsOptions extends StoreOptions {
  readonly project: string;
  readonly stream?: string;
  readonly from: number;
  readonly encoded?: boolean;
}

export function registerEvents(sessions: Command): void {
  storeOptions(sessions.command("events"))
    .description("A session's events as NDJSON, in (stream, seq) order")
    .argument("<session>", "its id")
    .addHelpText(
      "before",
      "Examples:\n  sluice sessions events checkout-0001 > events.ndjson\n  sluice sessions events checkout-0001 --from 200 | jq .event.type\n",
    )
    .option("--project <id>", "whose", "default")
    .option("--stream <name>", "only this stream")
    .option("--from <seq>", "begin here in each stream", wholeNumber(1, Number.MAX_SAFE_INTEGER), 1)
    .option("--encoded", "also the bytes as they were sent, base64")
    .action((id: string, options: EventsOptions) => run(options, (context) => events(context, id, options)));
}

const PAGE_BYTES = 1024 * 1024;

async function events(context: Context, id: string, options: EventsOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const session = await app.store.readSession(options.project, id, signal);
  if (session === undefined) throw noSession(options.project, id);
  let count = 0;
  let after: { readonly stream: string; readonly seq: bigint } | undefined;
  for (;;) {
    const query = { project: options.project, session: id, stream: options.stream, fromSeq: BigInt(options.from) };
    const page = await app.store.readEvents({ ...query, after, maxBytes: PAGE_BYTES }, signal);
    for (const stored of page) {
      const bytes = options.encoded ? { encoded: Buffer.from(stored.event).toString("base64") } : {};
      await output.ndjson("event", { ...eventFields(stored), ...bytes });
    }
    count += page.length;
    after = page.at(-1);
    if (after === undefined) break;
  }
  await output.ndjson("summary", { session: id, events: count });
  return EXIT.done;
}
