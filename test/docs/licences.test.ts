import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { ROOT } from "./markdown.ts";

const LOCK = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({ license: z.string().optional(), dev: z.boolean().optional(), devOptional: z.boolean().optional() }),
  ),
});

/** Licences that ask for no more than their notice. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  "MIT",
  "ISC",
  "0BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "BlueOak-1.0.0",
]);

/**
 * sharp's libvips: a library of its own that npm fetches and the process loads, which anybody may
 * exchange for another. That is what the LGPL asks of a program that uses one; it asks no more.
 */
const SHARED_LIBRARY = /^node_modules\/@img\/sharp-/;

test("everything that is installed with Sluice has a permissive licence", () => {
  const { packages } = LOCK.parse(JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8")));
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== "" && dev !== true);
  expect(shipped.length).toBeGreaterThan(10);
  const others = shipped.filter(
    ([path, { license = "none" }]) =>
      !isPermissive(SHARED_LIBRARY.test(path) ? license.replace("LGPL-3.0-or-later", "MIT") : license),
  );
  expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
});

/** `(MIT OR GPL-3.0)` is, `MIT AND GPL-3.0` is not. */
function isPermissive(licence: string): boolean {
  const parts = licence.replaceAll(/[()]/g, "").split(" AND ");
  return parts.every((part) => part.split(" OR ").some((choice) => PERMISSIVE.has(choice.trim())));
}
