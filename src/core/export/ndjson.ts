import { canonicalJson } from "../pipeline/canonical.ts";
import { shelve } from "./images.ts";
import { jsonlExporter } from "./jsonl.ts";

/** Every field of every example, as the pipeline gave it; the screenshot's path stands in `image`. */
export const ndjson = jsonlExporter({
  name: "ndjson",
  description: "every field of every step, one JSON object a line, screenshots as files",
  maxFileBytes: 1_000_000_000,
  line: async (example, image, dir) => ({
    json: canonicalJson({ ...example, ...(image && { image: await shelve(dir, image) }) }),
  }),
  extras: () => ({}),
});
