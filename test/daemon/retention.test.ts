import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { eventually, Link, readBlob, refusal, TestDaemon } from "./daemon.ts";

const RECORDING = fileURLToPath(new URL("../../dev/sample/filter-and-compare", import.meta.url));

test("a daemon told to lets recorded screenshots go once they are redacted and old, and tells who asks", async () => {
  await using daemon = await TestDaemon.start();
  await daemon.sluice(["push", RECORDING, "--to", daemon.url]);
  const done = 'sluice_job_runs_total{kind="redact",outcome="done"}';
  await eventually(async () => expect(await daemon.sample(done)).toBe(1));
  const id = basename((await readdir(`${RECORDING}/blobs`))[0] ?? "", ".webp");
  const sealedBy = Date.now();
  {
    using link = new Link(daemon.url, {});
    expect((await readBlob(link, id)).length).toBeGreaterThan(1000);
  }

  await eventually(async () => expect(Date.now()).toBeGreaterThan(sealedBy + 1_000));
  await daemon.process.kill("SIGTERM");
  await daemon.restart({ SLUICE_RETENTION_ORIGINALS: "1s" });
  using link = new Link(daemon.url, {});
  await eventually(async () =>
    expect(await refusal(readBlob(link, id))).toMatchObject({ code: "NotFound", reason: "BLOB_EXPIRED" }),
  );
  await expect(daemon.sluice(["sessions", "blob", id, "--out", "x.webp"])).rejects.toThrow(/was removed at 20/);
  expect(await daemon.sluice(["push", RECORDING, "--to", daemon.url])).toContain("16 known");
});
