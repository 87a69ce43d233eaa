import type { Command } from "commander";
import { systemClock } from "../../core/clock.ts";
import type { Store, StoredEvent } from "../../core/store/store.ts";
import { type Event, EventTypeSchema } from "../../wire/gen/sluice/v1/event_pb.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { open } from "../open-store.ts";
import { printable } from "../output.ts";
import { decodeEvent, eventFields, noSession } from "../session-fields.ts";
import { shorten } from "../table.ts";

interface TailOptions extends StoreOptions {
  readonly project: string;
  readonly new?: boolean;
}

export function registerTail(sessions: Command): void {
  storeOptions(sessions.command("tail"))
    .description("A session's events as they are stored, until it is sealed")
    .argument("<session>", "its id")
    .addHelpText(
      "before",
      "Examples:\n  sluice sessions tail checkout-0001\n  sluice sessions tail checkout-0001 --new --json\n",
    )
    .option("--project <id>", "whose", "default")
    .option("--new", "leave out what is stored already")
    .action((id: string, options: TailOptions) => run(options, (context) => tail(context, id, options)));
}

const PAGE_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 500;

async function tail(context: Context, id: string, options: TailOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const read = new Map<string, bigint>();
  let count = 0;
  for (let first = true; ; first = false) {
    const session = await app.store.readSession(options.project, id, signal);
    if (session === undefined) throw noSession(options.project, id);
    for (const { stream, lastSeq } of session.streams) {
      const from = read.get(stream) ?? (first && options.new ? lastSeq : 0n);
      for await (const stored of eventsBetween(
        app.store,
        { ...options, session: id, stream, from, to: lastSeq },
        signal,
      )) {
        await tell(context, stored);
        count += 1;
      }
      read.set(stream, lastSeq);
    }
    if (session.seal !== undefined) break;
    await systemClock.sleep(LOOK_EVERY_MS, signal);
  }
  await output.record("summary", { session: id, events: count, sealed: true });
  output.note("The session is sealed.");
  return EXIT.done;
}

interface Range {
  readonly project: string;
  readonly session: string;
  readonly stream: string;
  /** Events after this seq … */
  readonly from: bigint;
  /** … up to this one. */
  readonly to: bigint;
}

async function* eventsBetween(store: Store, range: Range, signal: AbortSignal): AsyncGenerator<StoredEvent> {
  const { project, session, stream, to } = range;
  let from = range.from;
  while (from < to) {
    const query = { project, session, stream, fromSeq: from + 1n, after: undefined, maxBytes: PAGE_BYTES };
    const page = await store.readEvents(query, signal);
    for (const stored of page) if (stored.seq <= to) yield stored;
    // What is left up to `to` was quarantined when the page is empty.
    from = page.at(-1)?.seq ?? to;
  }
}

async function tell({ output }: Context, stored: StoredEvent): Promise<void> {
  if (output.json) return await output.record("event", eventFields(stored));
  const event = decodeEvent(stored);
  const time = new Date(Number(event.timeMs)).toISOString().slice(11, 23);
  const type = event.customType || (EventTypeSchema.value[event.type]?.localName ?? "").toLowerCase();
  const line = `${time}  ${stored.stream}/${stored.seq}  ${type.padEnd(10)}  ${what(event)}  ${event.page?.url ?? ""}`;
  await output.line(shorten(printable(line.trimEnd()), output.columns ?? Number.POSITIVE_INFINITY));
}

/** What it happened to. Never what was typed: a terminal is looked at over shoulders. */
function what({ target, key }: Event): string {
  const name = target?.name || target?.text || target?.selectors[0]?.value || "";
  const words = [
    target?.role || target?.tag || "",
    name === "" ? "" : JSON.stringify(shorten(name, 40)),
    key?.code ?? "",
  ];
  return words.filter((word) => word !== "").join(" ");
}
