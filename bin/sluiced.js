#!/usr/bin/env node
import { start } from "./start.js";

// Large messages make garbage, and V8's young generation lets it pile up: with a smaller one a
// thousand streams take a quarter less memory at the same throughput. It can only be set when a
// process begins, so this one begins again, as itself, where the platform can do that.
const MEMORY_FLAGS = ["--max-semi-space-size=2"];
const MEMORY_ENVIRONMENT = { MALLOC_ARENA_MAX: "2" };

const { execve, env, execPath, execArgv, argv, platform } = process;
if (execve !== undefined && platform === "linux" && env.SLUICED_MEMORY_SET === undefined) {
  const args = [execPath, ...MEMORY_FLAGS, ...execArgv, ...argv.slice(1)];
  execve.call(process, execPath, args, { ...MEMORY_ENVIRONMENT, ...env, SLUICED_MEMORY_SET: "1" });
}
await start("sluiced", "daemon");
