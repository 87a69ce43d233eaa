import { type Command, InvalidArgumentError, Option } from "commander";
import { SCOPES } from "../../core/api-key.ts";
import type { KeyRecord, Scope } from "../../core/store/store.ts";
import { type Context, run, type StoreOptions, storeOptions } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { showTime, span } from "../format.ts";
import { open, openOrCreate } from "../open-store.ts";
import type { Fields } from "../output.ts";
import { writeTable } from "../table.ts";

interface CreateOptions extends StoreOptions {
  readonly project: string;
  readonly name: string;
  readonly scope: readonly Scope[];
  readonly expires?: number;
}

interface ProjectOptions extends StoreOptions {
  readonly project?: string;
}

interface RotateOptions extends ProjectOptions {
  readonly overlap: number;
}

export function register(keys: Command): void {
  storeOptions(keys.command("create"))
    .description("Make a key and print it, this one time")
    .addHelpText(
      "before",
      "Examples:\n  sluice keys create --name collector --scope ingest > collector.key\n  sluice keys create --project shop --name reports --scope read --expires 90d\n",
    )
    .requiredOption("--name <name>", "what it is for")
    .requiredOption("--scope <scopes>", `what it may do: ${SCOPES.join(", ")}, with commas between`, scopes)
    .option("--project <id>", "the only project it is for", "default")
    .option("--expires <time>", "when it ends, from now: 90d (default: never)", span)
    .action((options: CreateOptions) => run(options, (context) => create(context, options)));
  storeOptions(keys.command("list"))
    .description("Keys, newest first, ended ones too; never a secret")
    .addHelpText("before", "Examples:\n  sluice keys list\n  sluice keys list --project shop --json\n")
    .option("--project <id>", "only those of one project (default: all)")
    .action((options: ProjectOptions) => run(options, (context) => list(context, options)));
  storeOptions(keys.command("rotate"))
    .description("Make a key with the same rights and print it; the old one goes on for a while")
    .argument("<id>", "12 characters, as keys list has them")
    .addHelpText("before", "Examples:\n  sluice keys rotate k4d2mzqv7t3a --overlap 24h > collector.key\n")
    .option("--project <id>", "fail unless the key is this project's")
    .addOption(new Option("--overlap <time>", "how long the old key goes on").argParser(span).default(3_600_000, "1h"))
    .action((id: string, options: RotateOptions) => run(options, (context) => rotate(context, id, options)));
  storeOptions(keys.command("revoke"))
    .description("End a key now; what it has open is closed within about a second")
    .argument("<id>", "12 characters, as keys list has them")
    .addHelpText("before", "Examples:\n  sluice keys revoke k4d2mzqv7t3a\n")
    .option("--project <id>", "fail unless the key is this project's")
    .action((id: string, options: ProjectOptions) => run(options, (context) => revoke(context, id, options)));
}

async function create(context: Context, options: CreateOptions): Promise<number> {
  await using app = await openOrCreate(context, options);
  const { project, name, scope, expires } = options;
  const expiresAtMs = expires === undefined ? undefined : Date.now() + expires;
  const { key, secret } = await app.keys.create({ project, name, scopes: scope, expiresAtMs }, context.signal);
  await tellSecret(context, key, secret);
  return EXIT.done;
}

async function list(context: Context, options: ProjectOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const keys = await app.keys.list(options.project, signal);
  for (const key of keys) await output.record("key", fields(key));
  await output.record("summary", { keys: keys.length });
  if (keys.length === 0) {
    output.note("There are no keys; sluice keys create makes one.");
    return EXIT.nothingMatched;
  }
  if (output.json) return EXIT.done;
  const now = Date.now();
  const rows = keys.map((key) => [
    key.id,
    key.project,
    key.name,
    key.scopes.join(","),
    stateOf(key, now),
    showTime(output, key.createdAtMs, now),
    key.lastUsedAtMs === undefined ? "never" : showTime(output, key.lastUsedAtMs, now),
    key.expiresAtMs === undefined ? "never" : showTime(output, key.expiresAtMs, now),
  ]);
  const titles = ["ID", "PROJECT", "NAME", "SCOPES", "STATE", "CREATED", "USED", "EXPIRES"];
  const columns = titles.map((title) => ({ title, flexible: title === "NAME" || title === "PROJECT" }));
  await writeTable(output, columns, rows);
  return EXIT.done;
}

async function rotate(context: Context, id: string, { project, overlap, ...options }: RotateOptions): Promise<number> {
  await using app = await open(context, options);
  const { key, secret } = await app.keys.rotate(id, { project, overlapMs: overlap }, context.signal);
  await tellSecret(context, key, secret);
  return EXIT.done;
}

async function revoke(context: Context, id: string, { project, ...options }: ProjectOptions): Promise<number> {
  await using app = await open(context, options);
  const { output, signal } = context;
  const key = await app.keys.revoke(id, { project }, signal);
  await output.record("key", fields(key));
  await output.record("summary", { keys: 1 });
  await output.line(
    `${key.id} (${key.name}) is revoked since ${new Date(key.revokedAtMs ?? Date.now()).toISOString()}`,
  );
  return EXIT.done;
}

/** The secret alone on stdout, so that it can be sent to a file; the rest on stderr. */
async function tellSecret({ output }: Context, key: KeyRecord, secret: string): Promise<void> {
  await output.record("key", { ...fields(key), secret });
  await output.record("summary", { keys: 1 });
  await output.line(secret);
  const until = key.expiresAtMs === undefined ? "" : ` until ${new Date(key.expiresAtMs).toISOString()}`;
  output.note(
    `Key ${key.id} for project ${key.project}, ${key.scopes.join(" and ")}${until}. Keep it now: it is not shown again.`,
  );
}

function fields(key: KeyRecord): Fields {
  return {
    id: key.id,
    project: key.project,
    name: key.name,
    scopes: key.scopes,
    created_at_ms: key.createdAtMs,
    expires_at_ms: key.expiresAtMs,
    revoked_at_ms: key.revokedAtMs,
    last_used_at_ms: key.lastUsedAtMs,
    replaced_by: key.replacedBy,
  };
}

function stateOf({ revokedAtMs, expiresAtMs, replacedBy }: KeyRecord, nowMs: number): string {
  if (revokedAtMs !== undefined) return "revoked";
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) return replacedBy === undefined ? "expired" : "rotated";
  return replacedBy === undefined ? "active" : "rotating";
}

function scopes(text: string): Scope[] {
  return text.split(",").map((word) => {
    const scope = SCOPES.find((known) => known === word.trim());
    if (scope === undefined) throw new InvalidArgumentError(`The scopes are ${SCOPES.join(", ")}.`);
    return scope;
  });
}
