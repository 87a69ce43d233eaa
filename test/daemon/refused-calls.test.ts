import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/core/config.ts";
import { createLogger } from "../../src/core/log.ts";
import { Server } from "../../src/daemon/server.ts";

test("a call that is refused for its key is counted under the code its caller saw", async () => {
  const dir = await mkdtemp(join(tmpdir(), "sluice-refused-"));
  try {
    const flags = { listen: "127.0.0.1:0", store: `sqlite:${dir}/sluice.db`, blobs: `file:${dir}/blobs` };
    const { values } = await loadConfig({ flags, env: {}, cwd: dir, file: undefined });
    await using server = await Server.start({
      config: values,
      logger: createLogger({ level: "silent" }),
      version: "0",
    });
    const response = await fetch(`${server.url}/sluice.v1.IngestService/GetWatermark`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer slk_wrong" },
      body: '{"stream":{"session":"s"}}',
    });
    expect([response.status, await response.json()]).toMatchObject([401, { code: "unauthenticated" }]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain(
      'sluice_rpc_seconds_count{method="sluice.v1.IngestService/GetWatermark",code="unauthenticated"} 1',
    );
  } finally {
    await rm(dir, { recursive: true });
  }
});
