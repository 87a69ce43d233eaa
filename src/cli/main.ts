import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { AppError } from "../core/errors.ts";
import { run } from "./context.ts";

/** Runs one command; `args` are those after the program's name. Sets the exit code and resolves. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    const program = await build(args);
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    await run({ json: args.includes("--json") }, async () => {
      throw usageError(error);
    });
  }
}

interface Group {
  readonly name: string;
  readonly description: string;
  /** Adds what the command takes and does. */
  readonly load: () => Promise<{ readonly register: (command: Command) => void }>;
}

const GROUPS: readonly Group[] = [
  {
    name: "push",
    description: "Send recordings to a daemon. Running it again sends only what is missing.",
    load: () => import("./commands/push.ts"),
  },
  {
    name: "backfill",
    description: "Bring recordings made by other tools into the store",
    load: () => import("./commands/backfill.ts"),
  },
  { name: "sessions", description: "What is stored", load: () => import("./commands/sessions.ts") },
  {
    name: "work",
    description: "Run the pipeline's jobs beside the daemon; many at once are fine",
    load: () => import("./commands/work.ts"),
  },
  {
    name: "reprocess",
    description: "Run again what a change of stages or parameters made stale, over any number of sessions",
    load: () => import("./commands/reprocess.ts"),
  },
  {
    name: "campaigns",
    description: "Runs over many sessions: see, pause, resume, cancel, change them",
    load: () => import("./commands/campaigns.ts"),
  },
  {
    name: "export",
    description: "Write what was processed as training data, with a proof of what is in it",
    load: () => import("./commands/export.ts"),
  },
  { name: "jobs", description: "The ledger of jobs", load: () => import("./commands/jobs.ts") },
  { name: "keys", description: "API keys", load: () => import("./commands/keys.ts") },
  { name: "migrate", description: "The store's schema", load: () => import("./commands/migrate.ts") },
  { name: "config", description: "What Sluice is set to, and where from", load: () => import("./commands/config.ts") },
];

/** Loads only what `args` names: the whole takes three times as long to start. */
async function build(args: readonly string[]): Promise<Command> {
  const program = new Command("sluice")
    .description("Takes in recorded browser sessions and keeps them; see what is stored, manage keys, move data.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText("before", EXAMPLES)
    .addHelpText("after", EXIT_CODES_HELP);
  for (const { name, description, load } of GROUPS) {
    const command = program.command(name).description(description);
    if (args.includes(name)) (await load()).register(command);
  }
  return program;
}

const EXAMPLES = `Examples:
  sluice push ./captures                     send recordings to the daemon on this machine
  sluice sessions list --since 1d            what came in since yesterday
  sluice sessions show checkout-0001         one session in full
  sluice jobs list --state dead              what the pipeline has given up
  sluice keys create --name ci --scope ingest > ci.key
`;

const EXIT_CODES_HELP = `
Exit codes:
  0 done  1 failed  2 usage  3 part of it failed  4 nothing matched  8 a budget was reached
  10 no store  11 locked  12 not allowed  130 interrupted
`;

function usageError(error: CommanderError): AppError {
  const help = error.code === "commander.help";
  const message = help ? "Name a command; sluice --help lists them." : error.message.replace(/^error: /, "");
  return new AppError("invalid_argument", message, { reason: "USAGE" });
}

function version(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const read: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
      if (typeof read === "object" && read !== null && "version" in read) return String(read.version);
    } catch (error) {
      // dist/ lies one directory deeper than src/.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  return "unknown";
}
