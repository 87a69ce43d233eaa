import { defineConfig } from "vitest/config";

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
