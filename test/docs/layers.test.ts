import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { z } from "zod";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LOCATION = z.looseObject({ path: z.string(), start: z.looseObject({ line: z.number() }) });
const REPORT = z.looseObject({ diagnostics: z.array(z.looseObject({ category: z.string(), location: LOCATION })) });
const RULES: ReadonlySet<string> = new Set(
  ["noRestrictedImports", "noRestrictedGlobals", "noProcessEnv"].map((rule) => `lint/style/${rule}`),
);

interface Layer {
  /** Lines no rule objects to in this file. */
  readonly allowed: readonly string[];
  /** Lines that break a rule, one each. */
  readonly forbidden: readonly string[];
}

const CONNECT = 'import "@connectrpc/connect";';
const DRIVERS = [
  'import "better-sqlite3";',
  'import "drizzle-orm";',
  'import "drizzle-orm/sqlite-core";',
  'import "pino";',
  'import "prom-client";',
  'import "yaml";',
];
const TIMERS = [
  'import { setTimeout as sleep } from "node:timers/promises";',
  "setTimeout(() => {}, 1);",
  "Date.now();",
];
const ADAPTERS = ['await import("./store/sqlite/sqlite-store.ts");', 'import "./blobs/local.ts";'];
const ABOVE_CORE = ['import "../client/index.ts";', 'import "../daemon/main.ts";', 'import "../cli/main.ts";'];

/** ARCHITECTURE, section 4: who may import whom, as files that might stand there. */
const LAYERS: Readonly<Record<string, Layer>> = {
  "src/core/probe.ts": {
    allowed: ['import "../wire/gen/sluice/v1/event_pb.ts";', 'import "./errors.ts";', 'import "zod";'],
    forbidden: [
      ...ABOVE_CORE,
      'import type { Opened } from "../wire/gen/sluice/v1/ingest_pb.ts";',
      'await import("../wire/convert.ts");',
      ...ADAPTERS,
      ...DRIVERS,
      CONNECT,
      'import "commander";',
      ...TIMERS,
      "process.env.PATH;",
    ],
  },
  "src/core/session/probe.ts": {
    allowed: ['import "../../wire/gen/sluice/v1/event_pb.ts";'],
    forbidden: [
      'import "../../wire/opaque.ts";',
      'import "../../client/index.ts";',
      'import "../store/sqlite/rows.ts";',
    ],
  },
  "src/core/app.ts": { allowed: ADAPTERS, forbidden: [...ABOVE_CORE, ...DRIVERS] },
  "src/core/store/sqlite/probe.ts": {
    allowed: ['import "better-sqlite3";', 'import "drizzle-orm/sqlite-core";', 'import "./rows.ts";'],
    forbidden: ['import "pino";', 'import "prom-client";', 'import "../../../daemon/main.ts";', CONNECT],
  },
  "src/core/log.ts": { allowed: ['import "pino";'], forbidden: ['import "better-sqlite3";', "process.env.PATH;"] },
  "src/core/metrics.ts": { allowed: ['import "prom-client";'], forbidden: ['import "drizzle-orm";', ...ABOVE_CORE] },
  "src/core/config.ts": { allowed: ['import "yaml";', "process.env.PATH;"], forbidden: ['import "../cli/main.ts";'] },
  "src/core/clock.ts": { allowed: TIMERS, forbidden: ['import "better-sqlite3";'] },
  "src/wire/probe.ts": {
    allowed: ['import "./gen/sluice/v1/ingest_pb.ts";', 'import "@bufbuild/protobuf";'],
    forbidden: ['import "../core/errors.ts";', ...ABOVE_CORE, ...DRIVERS, CONNECT],
  },
  "src/client/probe.ts": {
    allowed: ['import "../wire/opaque.ts";', CONNECT, 'import { setImmediate } from "node:timers/promises";'],
    forbidden: ['import "../core/errors.ts";', 'import "../daemon/main.ts";', 'import "../cli/main.ts";', ...DRIVERS],
  },
  "src/daemon/probe.ts": {
    allowed: ['import "../core/app.ts";', 'import "../wire/convert.ts";', CONNECT, 'import "commander";'],
    forbidden: [
      'import "../client/index.ts";',
      'import "../cli/main.ts";',
      'import "../core/store/sqlite/owner.ts";',
      'await import("../core/blobs/local.ts");',
      ...DRIVERS,
      ...TIMERS,
      "process.env.PATH;",
    ],
  },
  "src/cli/commands/probe.ts": {
    allowed: ['import "../../core/app.ts";', 'import "../../client/index.ts";', 'import "commander";', "Date.now();"],
    forbidden: ['import "../../daemon/server.ts";', 'import "../../core/store/sqlite/owner.ts";', ...DRIVERS, CONNECT],
  },
};

test("Biome refuses every import that breaks a layer, and no other", async () => {
  const dir = await mkdtemp(join(tmpdir(), "sluice-layers-"));
  try {
    await copyFile(join(ROOT, "biome.json"), join(dir, "biome.json"));
    for (const [file, { allowed, forbidden }] of Object.entries(LAYERS)) {
      await mkdir(dirname(join(dir, file)), { recursive: true });
      await writeFile(join(dir, file), [...allowed, ...forbidden].join("\n"));
    }
    const broken = await brokenLines(dir);
    for (const [file, { allowed, forbidden }] of Object.entries(LAYERS)) {
      const lines = [...allowed, ...forbidden];
      const found = [...(broken.get(file) ?? [])].map((line) => lines[line - 1]);
      expect(found.toSorted(), file).toEqual([...forbidden].toSorted());
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

async function brokenLines(dir: string): Promise<Map<string, Set<number>>> {
  const args = ["lint", "--reporter=json", "--max-diagnostics=none", "--vcs-enabled=false", "."];
  const report = await new Promise<string>((resolve) => {
    execFile(join(ROOT, "node_modules/.bin/biome"), args, { cwd: dir }, (_error, stdout) => resolve(stdout));
  });
  const broken = new Map<string, Set<number>>();
  for (const { category, location } of REPORT.parse(JSON.parse(report)).diagnostics) {
    if (!RULES.has(category)) continue;
    broken.set(location.path, (broken.get(location.path) ?? new Set()).add(location.start.line));
  }
  return broken;
}
