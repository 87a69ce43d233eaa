import type { Command } from "commander";
import type { QuarantinedEvent, Session } from "../../core/store/store.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted, showBytes, showTimeInFull } from "../format.ts";
import { open } from "../open-store.ts";
import { printable } from "../output.ts";
import { noSession, sessionFields } from "../session-fields.ts";
import { writeTable } from "../table.ts";

interface ShowOptions extends StoreOptions {
  readonly project: string;
}

export function registerShow(sessions: Command): void {
  storeOptions(sessions.command("show"))
    .description("One session: what it is, how far it is stored, what is missing, what was set aside")
    .argument("<session>", "its id")
    .addHelpText("before", "Examples:\n  sluice sessions show checkout-0001\n")
    .option("--project <id>", "whose", "default")
    .action((id: string, options: ShowOptions) => run(options, (context) => show(context, id, options)));
}

const QUARANTINED_SHOWN = 20;

async function show(context: Context, id: string, options: ShowOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const session = await app.store.readSession(options.project, id, signal);
  if (session === undefined) throw noSession(options.project, id);
  const set = await app.store.readQuarantined(options.project, id, output.json ? 10_000 : QUARANTINED_SHOWN, signal);

  await output.record("session", sessionFields(session));
  for (const { stream, seq, path, reason, atMs } of set) {
    await output.record("quarantined", { stream, seq, path, reason, at_ms: atMs });
  }
  await output.record("summary", { sessions: 1, quarantined: set.length });
  if (!output.json) await describe(context, session, set);
  return EXIT.done;
}

async function describe({ output }: Context, session: Session, set: readonly QuarantinedEvent[]): Promise<void> {
  const { info, state, seal } = session;
  const now = Date.now();
  const field = async (name: string, value: string | undefined) => {
    if (value) await output.line(`${output.style("bold", name.padEnd(14))}${printable(value)}`);
  };
  await field("session", session.id);
  await field("project", session.project);
  await field("status", seal === undefined ? "open" : `sealed ${showTimeInFull(output, seal.sealedAtMs, now)}`);
  await field("version", String(session.version));
  await field("created", showTimeInFull(output, session.createdAtMs, now));
  await field("changed", showTimeInFull(output, session.updatedAtMs, now));
  await field("task", info?.task);
  await field("collector", info?.collector);
  await field("start url", info?.startUrl);
  await field("user agent", info?.userAgent);
  await field("labels", info?.labels.map(({ name, value }) => `${name}=${value}`).join(", "));
  await field("last page", state.page && `${state.page.title} ${state.page.url}`.trim());
  await field("events", `${counted(state.events, "event")}, ${showBytes(state.bytes)}`);
  await field("", spanOf(session));
  await field("blobs", `${session.blobs - session.missingBlobs} stored, ${session.missingBlobs} missing`);
  for (const blob of seal?.missingBlobs ?? []) await field("  missing", blob);

  await output.line();
  await writeTable(
    output,
    [{ title: "STREAM" }, { title: "WATERMARK", align: "right" }],
    session.streams.map(({ stream, lastSeq }) => [stream, String(lastSeq)]),
  );
  const types = Object.entries(state.types).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  if (types.length > 0) {
    await output.line();
    await writeTable(
      output,
      [{ title: "TYPE" }, { title: "EVENTS", align: "right" }],
      types.map(([type, count]) => [type, String(count)]),
    );
  }
  if (state.quarantined === 0) return;
  await output.line();
  await output.line(
    output.style("yellow", `${counted(state.quarantined, "event")} quarantined: kept as sent, not among the events`),
  );
  await writeTable(
    output,
    [{ title: "STREAM" }, { title: "SEQ", align: "right" }, { title: "FIELD" }, { title: "REASON", flexible: true }],
    set.map(({ stream, seq, path, reason }) => [stream, String(seq), path || "-", reason]),
  );
  if (set.length < state.quarantined) output.note(`${state.quarantined - set.length} more: --json has them all.`);
}

function spanOf({ state }: Session): string | undefined {
  if (state.firstMs === undefined || state.lastMs === undefined) return undefined;
  return `${new Date(state.firstMs).toISOString()} to ${new Date(state.lastMs).toISOString()}`;
}
