import { globSync } from "node:fs";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type App, openApp, ownStore } from "../../core/app.ts";
import { runBackfill } from "../../core/backfill/backfill.ts";
import { companionKind, contentOf, unitsAt } from "../../core/backfill/units.ts";
import { AppError } from "../../core/errors.ts";
import { openNamed } from "../../core/import/importer.ts";
import { Metrics } from "../../core/metrics.ts";
import { Ingest } from "../../core/session/ingest.ts";
import type { Backfill, ItemCount } from "../../core/store/backfills.ts";
import type { Label } from "../../core/store/store.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { counted, showBytes, showTime, wholeNumber } from "../format.ts";
import { open, readConfig } from "../open-store.ts";
import { type Output, printable } from "../output.ts";
import { writeTable } from "../table.ts";

interface StartOptions extends StoreOptions {
  readonly project: string;
  readonly format?: string;
  readonly label: readonly Label[];
  readonly rate?: number;
  readonly concurrency: number;
  readonly dryRun?: boolean;
}

interface SetOptions extends StoreOptions {
  readonly rate?: number;
  readonly concurrency?: number;
}

export function register(group: Command): void {
  group.addHelpText("before", EXAMPLES);
  storeOptions(group.command("start"))
    .description("Bring in recordings made by other tools; what is there already is left as it is")
    .argument("<source...>", "files, directories and globs")
    .addHelpText("before", EXAMPLES)
    .option("--project <id>", "whose they are", "default")
    .option("--format <name>", "only recordings of this format, as --dry-run names it")
    .option("--label <name=value>", "added to each session; may be given again", label, [])
    .option("--rate <n>", "files a second at most", positive)
    .option("--concurrency <n>", "groups of files at once", wholeNumber(1, 64), 3)
    .option("--dry-run", "say what would come in, and what would not; write nothing")
    .action((sources: string[], options: StartOptions) => run(options, (context) => start(context, sources, options)));
  const one = (
    name: string,
    description: string,
    does: (context: Context, id: string, options: StoreOptions) => Promise<number>,
  ) =>
    storeOptions(group.command(name))
      .description(description)
      .argument("<id>", "as backfill list has it")
      .action((id: string, options: StoreOptions) => run(options, (context) => does(context, id, options)));
  storeOptions(group.command("list"))
    .description("Backfills, newest first")
    .action((options: StoreOptions) => run(options, (context) => list(context, options)));
  one("show", "One backfill: what came of its files, and why some were refused", show);
  one("pause", "Mark it paused; whoever runs it is stopped with Ctrl-C", (context, id, options) =>
    mark(context, id, options, "paused"),
  );
  one("cancel", "End it; what was brought in stays", (context, id, options) => mark(context, id, options, "cancelled"));
  one("resume", "Go on where it is", resume);
  one("retry", "Bring in again what was refused, and nothing else", retry);
  storeOptions(group.command("set"))
    .description("Change how fast it goes; it counts from when it is resumed")
    .argument("<id>", "as backfill list has it")
    .option("--rate <n>", "files a second at most", positive)
    .option("--concurrency <n>", "groups of files at once", wholeNumber(1, 64))
    .action((id: string, options: SetOptions) => run(options, (context) => set(context, id, options)));
}

const EXAMPLES = `Examples:
  sluice backfill start ./recordings --dry-run
  sluice backfill start ./recordings './archive/2025-*/traces' --label source=archive
  sluice backfill show bf_3f9a2b41c07d
`;

async function start(context: Context, sources: readonly string[], options: StartOptions): Promise<number> {
  const paths = expanded(sources);
  if (options.dryRun === true) return await dryRun(context, paths, options);
  await using owned = await openOwned(context, options);
  const { app } = owned;
  const { signal } = context;
  const same = (each: Backfill) =>
    each.state !== "done" &&
    each.state !== "cancelled" &&
    each.project === options.project &&
    JSON.stringify(each.sources) === JSON.stringify(paths);
  const left = (await app.store.listBackfills(1_000, signal)).find(same);
  if (left !== undefined) context.output.note(`Backfill ${left.id} was left unfinished: going on with it.`);
  const { format, label: labels, rate, concurrency } = options;
  const backfill =
    left ??
    (await app.store.createBackfill(
      {
        id: `bf_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`,
        project: options.project,
        sources: paths,
        settings: { labels, concurrency, ...(format !== undefined && { format }), ...(rate !== undefined && { rate }) },
        createdAtMs: app.clock.now(),
      },
      signal,
    ));
  return await follow(context, app, backfill);
}

/** Quoted globs; what is no glob, or fits none, is a path. */
function expanded(sources: readonly string[]): string[] {
  const found = sources.flatMap((source) => (/[*?[{]/.test(source) ? globSync(source).sort() : [source]));
  if (found.length === 0) {
    throw new AppError("not_found", `Nothing fits ${sources.join(" ")}; check the path.`, { reason: "NO_SUCH_FILE" });
  }
  return found.map((path) => resolve(path));
}

/** The store, and the right to write blobs into it. Fails with `locked` STORE_LOCKED while a daemon has it. */
async function openOwned(context: Context, options: StoreOptions) {
  const { values } = await readConfig(context, options);
  await using stack = new AsyncDisposableStack();
  try {
    stack.use(await ownStore(values, `sluice backfill, process ${process.pid}`));
  } catch (error) {
    const failure = AppError.from(error);
    if (failure.reason !== "STORE_LOCKED") throw failure;
    throw new AppError(
      "locked",
      `${failure.message} Recordings can be sent through a running daemon with: sluice push`,
      {
        reason: failure.reason,
        cause: failure,
      },
    );
  }
  const app = stack.use(await openApp(values, { create: true }));
  const resources = stack.move();
  return { app, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function follow(context: Context, app: App, backfill: Backfill): Promise<number> {
  const { output, signal } = context;
  const { id } = backfill;
  context.resume = `What was brought in is kept. Go on with: sluice backfill resume ${id}`;
  using metrics = new Metrics({ version: "" });
  const { store, blobs, clock, config } = app;
  const ingest = new Ingest({ store, blobs, limits: config.limits, metrics, onSealed: () => undefined });
  await app.store.changeBackfill(id, { state: "running" }, clock.now(), signal);
  let done = 0;
  const onItem = (): void => {
    done += 1;
    output.status(`${id}: ${counted(done, "file")} done`);
  };
  await runBackfill(backfill, { store, ingest, clock, onItem }, signal);
  output.clearStatus();
  await app.store.changeBackfill(id, { state: "done" }, clock.now(), signal);
  return await tell(output, app, id, signal);
}

async function resume(context: Context, id: string, options: StoreOptions): Promise<number> {
  await using owned = await openOwned(context, options);
  return await follow(context, owned.app, await existing(owned.app, id, context.signal));
}

async function retry(context: Context, id: string, options: StoreOptions): Promise<number> {
  await using owned = await openOwned(context, options);
  const { app } = owned;
  const backfill = await existing(app, id, context.signal);
  const count = await app.store.retryItems(id, context.signal);
  context.output.note(`${counted(count, "file")} to bring in again.`);
  if (count === 0) return EXIT.nothingMatched;
  if (backfill.state !== "done") return await follow(context, app, backfill);
  // One that is done stays so; what it had refused is a backfill of its own.
  const again = {
    ...backfill,
    id: `bf_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`,
    createdAtMs: app.clock.now(),
  };
  return await follow(context, app, await app.store.createBackfill(again, context.signal));
}

async function mark(
  context: Context,
  id: string,
  options: StoreOptions,
  state: "paused" | "cancelled",
): Promise<number> {
  await using app = await open(context, options);
  const changed = await app.store.changeBackfill(id, { state }, app.clock.now(), context.signal);
  await context.output.record("backfill", { id, state: changed.state });
  await context.output.record("summary", { backfills: 1 });
  await context.output.line(`${id} is ${changed.state}`);
  return EXIT.done;
}

async function set(context: Context, id: string, { rate, concurrency, ...options }: SetOptions): Promise<number> {
  await using app = await open(context, options);
  const settings = { ...(rate !== undefined && { rate }), ...(concurrency !== undefined && { concurrency }) };
  const changed = await app.store.changeBackfill(id, { settings }, app.clock.now(), context.signal);
  await context.output.record("backfill", { id, settings: changed.settings });
  await context.output.record("summary", { backfills: 1 });
  await context.output.line(JSON.stringify(changed.settings));
  return EXIT.done;
}

async function list(context: Context, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const backfills = await app.store.listBackfills(100, signal);
  for (const { id, project, state, sources, createdAtMs } of backfills) {
    await output.record("backfill", { id, project, state, sources, created_at_ms: createdAtMs });
  }
  await output.record("summary", { backfills: backfills.length });
  if (output.json) return EXIT.done;
  await writeTable(
    output,
    [{ title: "BACKFILL" }, { title: "STATE" }, { title: "STARTED" }, { title: "SOURCES", flexible: true }],
    backfills.map(({ id, state, createdAtMs, sources }) => [
      id,
      state,
      showTime(output, createdAtMs, app.clock.now()),
      sources.join(" "),
    ]),
  );
  return EXIT.done;
}

async function show(context: Context, id: string, options: StoreOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const { state, sources } = await existing(app, id, signal);
  await output.record("backfill", { id, state, sources });
  await output.line(`${id} is ${state}: ${printable(sources.join(" "))}`);
  await tell(output, app, id, signal);
  return EXIT.done;
}

async function existing(app: App, id: string, signal: AbortSignal): Promise<Backfill> {
  const backfill = await app.store.readBackfill(id, signal);
  if (backfill !== undefined) return backfill;
  throw new AppError("not_found", `There is no backfill ${id}; sluice backfill list has those there are.`, {
    reason: "BACKFILL_NOT_FOUND",
  });
}

/** What came of its files. 3 when some were refused, or events quarantined; 4 when there was no recording. */
async function tell(output: Output, app: App, id: string, signal: AbortSignal): Promise<number> {
  const counts = await app.store.countItems(id, signal);
  for (const count of counts) await output.record("count", { ...count });
  if (!output.json) await writeCounts(output, counts);
  let after: string | undefined;
  for (let told = 0; ; ) {
    const page = await app.store.listItems({ id, outcome: "refused", after, limit: 500 }, signal);
    for (const { path, reason, message } of page) {
      await output.record("refused", { path, reason, message });
      if (told++ < REFUSED_SHOWN) output.note(`refused ${printable(path)}: ${printable(message)}`);
    }
    after = page.at(-1)?.path;
    if (page.length < 500) {
      if (told > REFUSED_SHOWN) output.note(`and ${told - REFUSED_SHOWN} more; --json lists them all`);
      break;
    }
  }
  const sum = (outcome: string, of: (each: ItemCount) => number) =>
    counts.filter((each) => each.outcome === outcome).reduce((all, each) => all + of(each), 0);
  const summary = {
    backfill: id,
    imported: sum("imported", ({ items }) => items),
    duplicate: sum("duplicate", ({ items }) => items),
    refused: sum("refused", ({ items }) => items),
    passed_over: sum("passed_over", ({ items }) => items),
    sessions: sum("imported", ({ sessions }) => sessions),
    events: sum("imported", ({ events }) => events),
    quarantined: sum("imported", ({ quarantined }) => quarantined),
  };
  await output.record("summary", summary);
  if (summary.refused > 0 || summary.quarantined > 0) return EXIT.partly;
  return summary.imported + summary.duplicate === 0 ? EXIT.nothingMatched : EXIT.done;
}

const REFUSED_SHOWN = 20;

async function writeCounts(output: Output, counts: readonly ItemCount[]): Promise<void> {
  const right = (title: string) => ({ title, align: "right" as const });
  await writeTable(
    output,
    [
      { title: "FORMAT" },
      { title: "OUTCOME" },
      right("FILES"),
      right("SESSIONS"),
      right("EVENTS"),
      right("QUARANTINED"),
      right("SCREENSHOTS"),
      right("SIZE"),
      { title: "REASON" },
    ],
    counts.map((each) => [
      each.format || "-",
      each.outcome,
      String(each.items),
      String(each.sessions),
      String(each.events),
      String(each.quarantined),
      String(each.blobs),
      showBytes(each.bytes),
      each.reason,
    ]),
  );
}

/** What would come in: every recording is read to its end, and nothing written. */
async function dryRun({ output, signal }: Context, paths: readonly string[], options: StartOptions): Promise<number> {
  const counts = new Map<string, ItemCount>();
  let refused = 0;
  const add = (format: string, outcome: ItemCount["outcome"], reason: string, more: Partial<ItemCount>) => {
    const key = `${format}\0${outcome}\0${reason}`;
    const had = counts.get(key) ?? {
      format,
      outcome,
      reason,
      items: 0,
      sessions: 0,
      events: 0,
      quarantined: 0,
      blobs: 0,
      bytes: 0,
    };
    counts.set(key, {
      ...had,
      items: had.items + 1,
      sessions: had.sessions + (more.sessions ?? 0),
      events: had.events + (more.events ?? 0),
      blobs: had.blobs + (more.blobs ?? 0),
      bytes: had.bytes + (more.bytes ?? 0),
    });
  };
  for await (const unit of unitsAt(paths, signal)) {
    output.status(unit.path);
    let bytes = 0;
    try {
      ({ bytes } = await contentOf(unit, signal));
      if (unit.kind === "file" && (await companionKind(unit.path, signal)) === "image") {
        add("image", "passed_over", "IMAGE", { bytes });
        await output.record("passed_over", { path: unit.path, format: "image", reason: "IMAGE" });
        continue;
      }
      const { format, recordings } = await openNamed(unit.path, signal);
      if (options.format !== undefined && options.format !== format) {
        add(format, "passed_over", "OTHER_FORMAT", { bytes });
        await output.record("passed_over", { path: unit.path, format, reason: "OTHER_FORMAT" });
        continue;
      }
      let [sessions, events, blobs] = [0, 0, 0];
      const absent = new Set<string>();
      for await (const recording of recordings) {
        sessions += 1;
        for (const each of recording.absent) absent.add(each);
        for await (const _ of recording.events(1n, signal)) events += 1;
        for await (const _ of recording.blobs(signal)) blobs += 1;
      }
      add(format, "imported", "", { sessions, events, blobs, bytes });
      await output.record("recording", {
        path: unit.path,
        format,
        sessions,
        events,
        screenshots: blobs,
        bytes,
        absent: [...absent],
      });
    } catch (error) {
      signal.throwIfAborted();
      const { reason, message } = AppError.from(error);
      refused += 1;
      add("", "refused", reason, { bytes });
      await output.record("refused", { path: unit.path, reason, message });
      if (refused <= REFUSED_SHOWN) output.note(`would be refused ${printable(unit.path)}: ${printable(message)}`);
    }
  }
  output.clearStatus();
  const rows = [...counts.values()].sort((a, b) => (`${a.format} ${a.outcome}` < `${b.format} ${b.outcome}` ? -1 : 1));
  for (const count of rows) await output.record("count", { ...count });
  if (!output.json) await writeCounts(output, rows);
  await output.record("summary", { items: rows.reduce((sum, { items }) => sum + items, 0), refused });
  return refused > 0 ? EXIT.partly : EXIT.done;
}

function label(value: string, before: readonly Label[]): readonly Label[] {
  const [, name, text] = /^([^=]+)=(.*)$/s.exec(value) ?? [];
  if (name === undefined || text === undefined) throw new InvalidArgumentError("Write it as name=value.");
  return [...before, { name, value: text }];
}

function positive(text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError("Write a number above 0.");
}
