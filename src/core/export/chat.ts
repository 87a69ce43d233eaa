import { AppError } from "../errors.ts";
import { answer, question, SYSTEM_PROMPT } from "./conversation.ts";
import { type ExportImage, SPLITS } from "./exporter.ts";
import { imageOf, loadSharp } from "./images.ts";
import { jsonlExporter } from "./jsonl.ts";

// Limits of vision fine-tuning at OpenAI and Azure: https://platform.openai.com/docs/guides/vision-fine-tuning.
// An example here has one image at most, which is within what both allow (10 and 64).
const MIN_EXAMPLES = 10;
const MAX_FILE_BYTES = 512_000_000;
const MAX_IMAGE_BYTES = 10_000_000;
const MAX_TOKENS = 65_536;

/** Chat completions with images as data URLs, within the limits of those who train on them. */
export const chat = jsonlExporter({
  name: "chat",
  description: "chat completions with embedded images, within OpenAI's and Azure's limits for fine-tuning",
  maxFileBytes: MAX_FILE_BYTES,
  line: async (example, image) => {
    const shown = image && (await fitted(image));
    const asked = question(example);
    const answered = answer(example);
    const tokens = textTokens(SYSTEM_PROMPT) + textTokens(asked) + textTokens(answered) + imageTokens(shown?.image);
    if (tokens > MAX_TOKENS) return { leftOut: "TOO_MANY_TOKENS" };
    const parts = [
      ...(shown ? [{ type: "image_url", image_url: { url: dataUrl(shown.image), detail: "high" } }] : []),
      { type: "text", text: asked },
    ];
    const messages = [
      { role: "system", content: SYSTEM_PROMPT },
      { role: "user", content: parts },
      { role: "assistant", content: answered },
    ];
    return { json: JSON.stringify({ messages }), ...(shown?.changed !== undefined && { changed: shown.changed }) };
  },
  extras: (totals) => {
    for (const split of SPLITS) {
      if (totals[split] > 0 && totals[split] < MIN_EXAMPLES) throw tooFew(split, totals[split]);
    }
    return {};
  },
});

function tooFew(split: string, examples: number): AppError {
  return new AppError(
    "failed_precondition",
    `A file for fine-tuning needs ${MIN_EXAMPLES} examples, and the split ${split} has ${examples}. Export more sessions, or other --split parts.`,
    { reason: "TOO_FEW_EXAMPLES", metadata: { split } },
  );
}

interface Fitted {
  readonly image: ExportImage;
  readonly changed?: string;
}

/** Three or four channels of 8 bits and at most 10 MB, made smaller until it is. */
async function fitted(image: ExportImage): Promise<Fitted> {
  const sharp = await loadSharp();
  const { space, channels, isPalette } = await sharp(image.data).metadata();
  const plain = space === "srgb" && channels >= 3 && isPalette !== true;
  if (plain && image.data.length <= MAX_IMAGE_BYTES) return { image };
  let result = plain
    ? image
    : await imageOf(await sharp(image.data).toColourspace("srgb").png({ palette: false }).toBuffer(), image.id);
  for (let width = image.width; result.data.length > MAX_IMAGE_BYTES && width > 1; ) {
    width = Math.floor(width * SHRINK);
    result = await imageOf(await sharp(image.data).resize({ width }).webp({ quality: 90 }).toBuffer(), image.id);
  }
  return { image: result, changed: result.width === image.width ? "IMAGE_REENCODED" : "IMAGE_RESIZED" };
}

const SHRINK = 0.75;

function dataUrl({ mediaType, data }: ExportImage): string {
  return `data:${mediaType};base64,${Buffer.from(data).toString("base64")}`;
}

/** At least what a tokenizer counts of text in Latin letters, where a token has about four. */
function textTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 3);
}

/** High detail: scaled to fit 2048 by 2048, then to 768 on the short side; 170 for each tile of 512, and 85. */
function imageTokens(image: ExportImage | undefined): number {
  if (image === undefined) return 0;
  const within = Math.min(1, 2048 / Math.max(image.width, image.height));
  const scale = within * Math.min(1, 768 / (Math.min(image.width, image.height) * within));
  return 85 + 170 * Math.ceil((image.width * scale) / 512) * Math.ceil((image.height * scale) / 512);
}
