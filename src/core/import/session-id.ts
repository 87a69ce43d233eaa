import { createHash } from "node:crypto";

/** A recording's own id where it is a valid session id; else what is valid of it, told apart by a hash. */
export function sessionId(own: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(own)) return own;
  const hash = createHash("sha256").update(own).digest("hex").slice(0, 16);
  const plain = own.replace(/[^A-Za-z0-9._:-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  return `${plain.slice(0, 100)}${plain === "" ? "" : "-"}${hash}`;
}
