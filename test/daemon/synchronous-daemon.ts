// A daemon whose store does not fsync each commit, to show that the tests would see it.
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/core/config.ts";
import { createLogger } from "../../src/core/log.ts";
import { Server } from "../../src/daemon/server.ts";

const text = { type: "string" } as const;
const { values: flags } = parseArgs({ options: { listen: text, store: text, blobs: text } });
const { values: config } = await loadConfig({ flags, env: {}, cwd: process.cwd(), file: undefined });
const logger = createLogger({ level: "info" });
await using server = await Server.start({ config, logger, version: "0", synchronous: "NORMAL" });
const stopped = new Promise((resolve) => process.once("SIGTERM", resolve));
logger.info({ url: server.url }, "listening");
await stopped;
