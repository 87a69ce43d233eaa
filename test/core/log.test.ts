import { describe, expect, test } from "vitest";
import { mintKey } from "../../src/core/api-key.ts";
import { AppError } from "../../src/core/errors.ts";
import { createLogger } from "../../src/core/log.ts";

function capture(level: "info" | "silent" = "info") {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => lines.push(line) } });
  return { logger, lines, last: (): unknown => JSON.parse(lines.at(-1) ?? "") };
}

const { key, secret } = mintKey({ project: "p", name: "n", scopes: ["read"], expiresAtMs: undefined }, 0);

describe("log", () => {
  test("an API key is taken out wherever it stands: message, field, deep field, error, cause", () => {
    const { logger, lines } = capture();
    const error = new AppError("internal", `failed with ${secret}`, {
      reason: "X",
      cause: new Error(`cause ${secret}`),
    });
    logger.info({ a: secret, b: { c: [{ d: `x ${secret} y` }] } }, `message ${secret}`);
    logger.child({ bound: secret }).error({ err: error });
    for (const line of lines) {
      expect(line).not.toContain(secret.slice(17));
      expect(line).toContain(`slk_${key.id}_***`);
    }
    expect(lines).toHaveLength(2);
  });

  test("headers that carry credentials are taken out at any depth, and the line stays JSON", () => {
    const { logger, lines, last } = capture();
    logger.info({
      headers: { authorization: 'Bearer "hunter2', Cookie: ["a=hunter2", "b]=hunter2"], accept: "*/*" },
      deep: { er: { "proxy-authorization": "hunter2", "X-Api-Key": "hunter2" } },
    });
    expect(lines[0]).not.toContain("hunter2");
    expect(last()).toMatchObject({
      headers: { authorization: "***", Cookie: "***", accept: "*/*" },
      deep: { er: { "proxy-authorization": "***", "X-Api-Key": "***" } },
    });
  });

  test("an error is told with its code, reason and causes", () => {
    const { logger, last } = capture();
    const cause = Object.assign(new Error("no space"), { code: "ENOSPC" });
    logger.error(
      { err: new AppError("resource_exhausted", "The disk is full.", { reason: "DISK_FULL", cause }) },
      "append failed",
    );
    expect(last()).toMatchObject({
      level: "error",
      msg: "append failed",
      err: { code: "resource_exhausted", reason: "DISK_FULL", cause: { code: "ENOSPC", message: "no space" } },
    });
  });

  test("below its level nothing is written", () => {
    const { logger, lines } = capture("silent");
    logger.fatal("x");
    expect(lines).toEqual([]);
  });
});
