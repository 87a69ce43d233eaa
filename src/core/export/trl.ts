import { answer, question, SYSTEM_PROMPT } from "./conversation.ts";
import { shelve } from "./images.ts";
import { jsonlExporter } from "./jsonl.ts";

const text = (content: string) => ({ type: "text", text: content });

/**
 * Conversations as TRL's SFTTrainer reads them for vision models: content in parts, and a column of
 * images, one for each part that is one. https://huggingface.co/docs/trl/dataset_formats
 */
export const trl = jsonlExporter({
  name: "trl",
  description: "conversations with images for TRL's SFTTrainer",
  maxFileBytes: 1_000_000_000,
  line: async (example, image, dir) => ({
    json: JSON.stringify({
      id: example.id,
      messages: [
        { role: "system", content: [text(SYSTEM_PROMPT)] },
        { role: "user", content: [...(image ? [{ type: "image", text: null }] : []), text(question(example))] },
        { role: "assistant", content: [text(answer(example))] },
      ],
      images: image ? [await shelve(dir, image)] : [],
    }),
  }),
  extras: () => ({}),
});
