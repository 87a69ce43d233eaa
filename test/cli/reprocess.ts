// `sluice` as far as reprocessing and working go, with the small stages at the versions of SCORE_VERSION and REDUCE_VERSION.
import { Command } from "commander";
import * as campaigns from "../../src/cli/commands/campaigns.ts";
import * as reprocess from "../../src/cli/commands/reprocess.ts";
import * as work from "../../src/cli/commands/work.ts";

const stages = new URL("./versioned-stages.ts", import.meta.url).href;
const program = new Command("sluice");
reprocess.register(program.command("reprocess"), stages);
campaigns.register(program.command("campaigns"), stages);
work.register(program.command("work"), stages);
await program.parseAsync();
