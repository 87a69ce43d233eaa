import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/**
 * Every process and thread of the tests finds the sources compiled. Each would take the types out by
 * itself, in WebAssembly, which takes half its time, and crashes V8 now and then where threads come
 * and go (nodejs/node#64500). What is built has no types in it.
 */
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url));

/** No test waits for time to pass, so these only end what hangs: a machine may be slow. */
const PATIENCE_MS = 60_000;

export default defineConfig({
  test: {
    reporters: ["default", "./test/skip-reporter.ts", ...(process.env.CI === "true" ? ["json"] : [])],
    outputFile: { json: "coverage/results.json" },
    testTimeout: PATIENCE_MS,
    hookTimeout: PATIENCE_MS,
    projects: [
      { extends: true, test: { name: "test", include: ["test/**/*.test.ts"], exclude: ["test/e2e/**"] } },
      { extends: true, test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 600_000 } },
    ],
  },
});
