import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ConfigSources, describeConfig, loadConfig } from "../../src/core/config.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "sluice-config-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true, force: true });
});

function load(sources: Partial<ConfigSources> = {}) {
  return loadConfig({ flags: {}, env: {}, cwd, file: undefined, ...sources });
}

async function yaml(text: string, name = "sluice.yaml"): Promise<void> {
  await writeFile(join(cwd, name), text);
}

describe("defaults", () => {
  test("with nothing given, every setting has its default and says so", async () => {
    const { values, origins, warnings } = await load();
    expect(values.store).toEqual({ kind: "sqlite", path: "./data/sluice.db", url: "sqlite:./data/sluice.db" });
    expect(values.blobs).toEqual({ kind: "file", path: "./data/blobs", url: "file:./data/blobs" });
    expect(values.listen).toEqual({ host: "127.0.0.1", port: 4750 });
    expect(values.tls).toEqual({ cert: undefined, key: undefined, clientCa: undefined, clientCert: "off" });
    expect(values.limits).toEqual({
      ...DEFAULT_LIMITS,
      streamsPerKey: 2000,
      connections: 4096,
      requestsPerSecond: 2000,
      messageDeadlineMs: 30_000,
      callDeadlineMs: 60_000,
      ackStallMs: 60_000,
      streamIdleMs: 3_600_000,
    });
    expect(values.graceMs).toBe(25_000);
    expect(values.memoryBudget).toBe(32 * 1024 * 1024);
    expect([...new Set(origins.values())]).toEqual(["default"]);
    expect(warnings).toEqual([]);
  });

  test("what is shown can be written back and means the same", async () => {
    const first = await load({ flags: { "limits.message_bytes": "5000000", grace: "1500ms", listen: "[::1]:0" } });
    const flags = Object.fromEntries(describeConfig(first).map((row) => [row.setting, row.value || undefined]));
    expect((await load({ flags })).values).toEqual(first.values);
  });

  test("values can't be changed after loading", async () => {
    const { values } = await load();
    expect(() => Object.assign(values.limits, { depth: 1 })).toThrow(TypeError);
  });
});

describe("sources", () => {
  test("a flag wins over the environment, that over the file, that over the default, and each says where it came from", async () => {
    await yaml(
      "# comment\nstore: sqlite:file.db\nblobs: file:file-blobs\nlimits:\n  depth: 50\n  batch_events: 10\ngrace: 5s\n",
    );
    const { values, origins } = await load({
      flags: { store: "sqlite:flag.db" },
      env: { SLUICE_STORE: "sqlite:env.db", SLUICE_BLOBS: "file:env-blobs", SLUICE_LIMITS_DEPTH: "60" },
    });
    expect([
      values.store.path,
      values.blobs.path,
      values.limits.depth,
      values.limits.batchEvents,
      values.graceMs,
    ]).toEqual(["flag.db", "env-blobs", 60, 10, 5000]);
    expect(origins.get("store")).toBe("flag --store");
    expect(origins.get("blobs")).toBe("env SLUICE_BLOBS");
    expect(origins.get("limits.depth")).toBe("env SLUICE_LIMITS_DEPTH");
    expect(origins.get("limits.batch_events")).toBe("file sluice.yaml:6");
    expect(origins.get("grace")).toBe("file sluice.yaml:7");
    expect(origins.get("log.level")).toBe("default");
  });

  test("a file named by --config or SLUICE_CONFIG is read in place of sluice.yaml and must exist", async () => {
    await yaml("grace: 1s\n");
    await yaml("grace: 2s\n", "other.yaml");
    expect((await load({ file: "other.yaml" })).values.graceMs).toBe(2000);
    expect((await load({ env: { SLUICE_CONFIG: "other.yaml" } })).values.graceMs).toBe(2000);
    await expect(load({ file: "none.yaml" })).rejects.toMatchObject({
      code: "invalid_argument",
      reason: "BAD_CONFIG",
      message: "The configuration file none.yaml can't be read: there is no such file.",
    });
  });

  test("an empty file, an empty group, an empty value and an empty variable leave the defaults", async () => {
    const { values: standard } = await load();
    for (const text of ["", "# nothing\n", "limits:\n", "store:\n"]) {
      await yaml(text);
      expect((await load({ env: { SLUICE_TLS_CERT: "" } })).values).toEqual(standard);
    }
  });

  test("lists come from YAML lists and from texts with commas", async () => {
    await yaml("cors:\n  origins:\n    - https://a.example\n    - http://localhost:5173\n");
    const { values } = await load();
    expect(values.cors.origins).toEqual(["https://a.example", "http://localhost:5173"]);
    const fromEnv = await load({ env: { SLUICE_CORS_ORIGINS: "https://b.example, https://c.example" } });
    expect(fromEnv.values.cors.origins).toEqual(["https://b.example", "https://c.example"]);
  });

  test("a variable that is no setting is a warning with the nearest one, and Kubernetes' own are none", async () => {
    const env = {
      SLUICE_SOTRE: "x",
      SLUICE_KEY: "k",
      SLUICE_PORT: "tcp://10.0.0.1:4750",
      SLUICE_PORT_4750_TCP: "x",
      SLUICE_SERVICE_HOST: "10.0.0.1",
      SLUICED_SERVICE_PORT: "4750",
      HOME: "/",
    };
    expect((await load({ env })).warnings).toEqual(["SLUICE_SOTRE is no setting; did you mean SLUICE_STORE?"]);
  });
});

describe("problems", () => {
  test("every problem is listed at once, with its setting and where it came from", async () => {
    await yaml("limits:\n  mesage_bytes: 1MiB\n  depth: deep\ngrace: 25\nlog: loud\n");
    const failure = load({ flags: { listen: "4750" }, env: { SLUICE_LIMITS_EVENT_BYTES: "1 apple" } });
    await expect(failure).rejects.toMatchObject({ code: "invalid_argument", reason: "BAD_CONFIG" });
    const message = await failure.then(String, (error: Error) => error.message);
    expect(message).toContain("The configuration has 6 problems:");
    expect(message).toContain(
      "limits.mesage_bytes (file sluice.yaml:2): is no setting; did you mean limits.message_bytes?",
    );
    expect(message).toContain('limits.depth (file sluice.yaml:3): "deep" is not a whole number from 8 to 1000');
    expect(message).toContain("grace (file sluice.yaml:4): 25 is not a time from 1ms to 24d, such as 25s");
    expect(message).toContain("log (file sluice.yaml:5): is a group of settings, not a value");
    expect(message).toContain('listen (flag --listen): "4750" is not an address; write it as 127.0.0.1:4750');
    expect(message).toContain(
      'limits.event_bytes (env SLUICE_LIMITS_EVENT_BYTES): "1 apple" is not a size from 1KiB to 1GiB',
    );
  });

  test.each([
    ["postgres: is not in this release", { store: "postgres://u:hunter2@db/sluice" }],
    ["s3: is not in this release", { blobs: "s3://bucket/prefix" }],
    ["is the directory of blobs", { blobs: "file:./data/blobs", derived: "file:data/x/../blobs" }],
    ["is not a sqlite: URL", { store: "./data/sluice.db" }],
    ["names no file of this machine", { store: "sqlite://host/x.db" }],
    ["would be lost", { store: "sqlite::memory:" }],
    ["may not be *", { "cors.origins": "*" }],
    ["not an exact origin", { "cors.origins": "https://a.example/" }],
    ["not an exact origin", { "cors.origins": "https://*.example" }],
    ["not an exact origin", { "cors.origins": "https://A.example" }],
    ["not an exact origin", { "cors.origins": "https://a.example:443" }],
    ["is neither true nor false", { "auth.anonymous_loopback": "yes" }],
    ["is none of off, request, require", { "tls.client_cert": "maybe" }],
    ["needs tls.key beside it", { "tls.cert": "c.pem" }],
    ["needs tls.client_ca", { "tls.client_cert": "require" }],
    ["is more than limits.message_bytes, 4MiB", { "limits.event_bytes": "5MiB" }],
    ["is shorter than 1s", { "jobs.lease": "900ms" }],
    ["is neither auto nor a whole number from 0 to 1000", { "jobs.concurrency": "many" }],
    ["is more than memory_budget, 8MiB", { memory_budget: "8MiB", "limits.message_bytes": "9MiB" }],
    ["is not an address", { listen: "127.0.0.1:70000" }],
    ["is not a time", { grace: "25d" }],
    ["is no setting", { dispatch: "redis://x" }],
  ])("refused: %s", async (message, flags) => {
    const failure = load({ flags });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.not.toThrow("hunter2");
  });

  test("a file that is no YAML, or repeats a key, is refused with the line", async () => {
    await yaml("store: sqlite:a.db\nstore: sqlite:b.db\n");
    await expect(load()).rejects.toThrow("sluice.yaml (file sluice.yaml:2): Map keys must be unique");
    await yaml("- store\n");
    await expect(load()).rejects.toThrow("is not a mapping of settings");
    await yaml("store: [\n");
    await expect(load()).rejects.toMatchObject({ reason: "BAD_CONFIG" });
  });
});
