import { AppError } from "../errors.ts";
import { chat } from "./chat.ts";
import type { Exporter } from "./exporter.ts";
import { ndjson } from "./ndjson.ts";
import { parquet } from "./parquet.ts";
import { sharegpt } from "./sharegpt.ts";
import { trl } from "./trl.ts";
import { webdataset } from "./webdataset.ts";

export const EXPORTERS: readonly Exporter[] = [ndjson, trl, sharegpt, parquet, webdataset, chat];

/** Fails with `invalid_argument` UNKNOWN_FORMAT. */
export function exporterNamed(name: string): Exporter {
  const found = EXPORTERS.find((each) => each.name === name);
  if (found !== undefined) return found;
  const known = EXPORTERS.map((each) => each.name).join(", ");
  throw new AppError("invalid_argument", `There is no format ${name}; the formats are ${known}.`, {
    reason: "UNKNOWN_FORMAT",
  });
}
