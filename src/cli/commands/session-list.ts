import { type Command, InvalidArgumentError, Option } from "commander";
import type { Label } from "../../core/store/store.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { moment, showBytes, showTime, wholeNumber } from "../format.ts";
import { open } from "../open-store.ts";
import { sessionFields } from "../session-fields.ts";
import { writeTable } from "../table.ts";

interface ListOptions extends StoreOptions {
  readonly project: string;
  readonly status?: "open" | "sealed";
  readonly since?: number;
  readonly until?: number;
  readonly label?: readonly Label[];
  readonly collector?: string;
  readonly limit: number;
  readonly page?: string;
}

export function registerList(sessions: Command): void {
  storeOptions(sessions.command("list"))
    .description("Sessions, newest first")
    .addHelpText(
      "before",
      "Examples:\n  sluice sessions list --status open --since 2h\n  sluice sessions list --label task=checkout --limit 200 --json\n",
    )
    .option("--project <id>", "whose", "default")
    .addOption(new Option("--status <status>", "only these").choices(["open", "sealed"]))
    .option("--since <time>", "created at or after: 2026-01-31, 2h, 7d", moment)
    .option("--until <time>", "created before", moment)
    .option("--label <name=value>", "with this label; may be repeated", label)
    .option("--collector <name>", "sent by this collector")
    .option("--limit <n>", "at most so many", wholeNumber(1, 1000), 50)
    .option("--page <token>", "go on where the page before ended")
    .action((options: ListOptions) => run(options, (context) => list(context, options)));
}

async function list(context: Context, options: ListOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const { sessions, nextCursor } = await app.store.listSessions(
    {
      project: options.project,
      limit: options.limit,
      cursor: options.page,
      status: options.status,
      sinceMs: options.since,
      untilMs: options.until,
      labels: options.label ?? [],
      collector: options.collector,
    },
    signal,
  );
  for (const session of sessions) await output.record("session", sessionFields(session));
  await output.record("summary", { sessions: sessions.length, next_page: nextCursor });
  if (sessions.length === 0) {
    output.note(`No session of project ${options.project} matches.`);
    return EXIT.nothingMatched;
  }
  if (output.json) return EXIT.done;
  const now = Date.now();
  const columns = [
    { title: "SESSION", flexible: true },
    { title: "STATUS" },
    { title: "EVENTS", align: "right" },
    { title: "SIZE", align: "right" },
    { title: "BLOBS", align: "right" },
    { title: "CREATED" },
    { title: "TASK", flexible: true },
  ] as const;
  const rows = sessions.map((session) => [
    session.id,
    session.seal === undefined ? "open" : "sealed",
    String(session.state.events),
    showBytes(session.state.bytes),
    session.missingBlobs === 0 ? String(session.blobs) : `${session.blobs} (${session.missingBlobs} missing)`,
    showTime(output, session.createdAtMs, now),
    session.info?.task ?? "",
  ]);
  await writeTable(output, columns, rows);
  if (nextCursor !== undefined) output.note(`There are more: --page ${nextCursor}`);
  return EXIT.done;
}

function label(text: string, before: readonly Label[] = []): Label[] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Write a label as name=value.");
  return [...before, { name: text.slice(0, at), value: text.slice(at + 1) }];
}
