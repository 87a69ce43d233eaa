import { answer, question, SYSTEM_PROMPT } from "./conversation.ts";
import { SPLITS } from "./exporter.ts";
import { shelve } from "./images.ts";
import { jsonlExporter } from "./jsonl.ts";

/**
 * ShareGPT conversations with images as LLaMA-Factory reads them, and the dataset_info.json that
 * names them. https://github.com/hiyouga/LLaMA-Factory/tree/main/data
 */
export const sharegpt = jsonlExporter({
  name: "sharegpt",
  description: "conversations with images for LLaMA-Factory, with dataset_info.json",
  maxFileBytes: 1_000_000_000,
  line: async (example, image, dir) => ({
    json: JSON.stringify({
      id: example.id,
      messages: [
        { role: "system", content: untagged(SYSTEM_PROMPT) },
        { role: "user", content: `${image ? "<image>" : ""}${untagged(question(example))}` },
        { role: "assistant", content: untagged(answer(example)) },
      ],
      images: image ? [await shelve(dir, image)] : [],
    }),
  }),
  extras: (totals) => ({
    "dataset_info.json": `${JSON.stringify(
      Object.fromEntries(SPLITS.filter((split) => totals[split] > 0).map((split) => [`sluice_${split}`, entry(split)])),
      null,
      2,
    )}\n`,
  }),
});

/** LLaMA-Factory counts these tags: a page's own must not be one. */
function untagged(text: string): string {
  return text.replaceAll(/<(image|video|audio)>/gi, "< $1>");
}

function entry(split: string) {
  return {
    file_name: `data/${split}`,
    formatting: "sharegpt",
    columns: { messages: "messages", images: "images" },
    tags: {
      role_tag: "role",
      content_tag: "content",
      user_tag: "user",
      assistant_tag: "assistant",
      system_tag: "system",
    },
  };
}
