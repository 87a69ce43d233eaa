import { readFileSync } from "node:fs";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { SqliteStore } from "../../../src/core/store/sqlite/sqlite-store.ts";
import { never } from "../../fixtures.ts";

// Opens the store that argv names, uses both its threads, closes it, and prints which addons are still loaded.

const [path = ""] = process.argv.slice(2);
const store = await SqliteStore.open({ path, limits: DEFAULT_LIMITS, create: true });
await store.ping(never);
await store.listProjects(never);
await store[Symbol.asyncDispose]();
const maps = readFileSync("/proc/self/maps", "utf8");
process.stdout.write(JSON.stringify([...new Set(maps.match(/\S+\.node$/gm))]));
