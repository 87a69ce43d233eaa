// `sluice work` with the stages of poison-stages.ts.
import { Command } from "commander";
import { register } from "../../../src/cli/commands/work.ts";

const program = new Command("sluice");
register(program.command("work"), new URL("./poison-stages.ts", import.meta.url).href);
await program.parseAsync();
