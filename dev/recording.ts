import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { BrowserContext, CDPSession, Locator, Page } from "playwright-core";

/** What a task does, a step at a time, at about the pace of a person. */
interface Hands {
  readonly page: Page;
  goto(path: string): Promise<void>;
  click(target: Locator, clicks?: number): Promise<void>;
  type(target: Locator, text: string): Promise<void>;
  press(key: string): Promise<void>;
  select(target: Locator, label: string): Promise<void>;
  hover(target: Locator): Promise<void>;
  scroll(pixels: number): Promise<void>;
  drag(target: Locator, from: number, to: number): Promise<void>;
}

export interface RecordingPlan {
  readonly id: string;
  readonly task: string;
  readonly site: string;
  readonly steps: (hands: Hands) => Promise<void>;
}

/** Does the task in a page of its own and writes the native capture of it to `directory`. */
export async function recordTask(context: BrowserContext, plan: RecordingPlan, directory: URL): Promise<number> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(new URL("blobs/", directory), { recursive: true });
  const page = await context.newPage();
  const capture = new Capture(directory, await context.newCDPSession(page));
  page.on("pageerror", (error) => capture.fail(error));
  await page.exposeFunction("sluiceCollect", (json: string) => capture.collect(json));
  for (const script of ["describe.js", "listen.js"]) {
    await page.addInitScript({ path: fileURLToPath(new URL(`recorder/${script}`, import.meta.url)) });
  }
  await plan.steps(handsOn(page, plan, capture));
  const userAgent = await page.evaluate<string>("navigator.userAgent");
  await page.close({ runBeforeUnload: true });
  await capture.write({
    id: plan.id,
    stream: "main",
    info: {
      task: plan.task,
      collector: "sluice-demo-recorder/1",
      startUrl: `${plan.site}/`,
      userAgent,
      labels: [
        { name: "site", value: "harbour-and-pine" },
        { name: "source", value: "sample" },
      ],
    },
  });
  return capture.count;
}

function handsOn(page: Page, plan: RecordingPlan, capture: Capture): Hands {
  const random = pseudorandom(plan.id);
  const pause = async (low: number, high: number) => page.waitForTimeout(low + random() * (high - low));
  /** Every step begins with the page at rest and a picture of it. */
  const look = async (type: string) => {
    await page.waitForLoadState("load");
    await pause(250, 600);
    await capture.look(type);
  };
  const centre = async (target: Locator): Promise<{ x: number; y: number }> => {
    const box = await target.boundingBox();
    if (box === null) throw new Error(`${plan.id}: nothing to point at: ${target}`);
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const moveTo = async (target: Locator) => {
    const { x, y } = await centre(target);
    await page.mouse.move(x, y, { steps: 6 });
  };
  const scroll = async (pixels: number) => {
    await look("SCROLL");
    for (let left = Math.abs(pixels); left > 0; left -= 120) {
      await page.mouse.wheel(0, Math.sign(pixels) * Math.min(120, left));
      await pause(30, 70);
    }
    await pause(350, 500);
  };
  /** Scrolls as a person would, until the target stands clear of the header and of the lower edge. */
  const reveal = async (target: Locator) => {
    if ((await target.locator("xpath=ancestor::header").count()) > 0) return;
    const { y } = await centre(target);
    const height = page.viewportSize()?.height ?? 0;
    if (y < 110) await scroll(Math.round(y - height / 3));
    else if (y > height - 40) await scroll(Math.round(y - height / 2));
  };
  return {
    page,
    scroll,
    goto: async (path) => {
      await page.goto(`${plan.site}${path}`);
      await page.waitForLoadState("load");
    },
    click: async (target, clicks = 1) => {
      await reveal(target);
      await look("CLICK");
      await moveTo(target);
      const { x, y } = await centre(target);
      await page.mouse.click(x, y, { clickCount: clicks, delay: 60 });
      await pause(150, 300);
    },
    type: async (target, text) => {
      if ((await target.and(page.locator(":focus")).count()) !== 1)
        throw new Error(`${plan.id}: not focused: ${target}`);
      await look("INPUT");
      for (const letter of text) {
        await page.keyboard.type(letter);
        await pause(25, 90);
      }
      // The recorder tells what was typed once the typing rests.
      await pause(700, 800);
    },
    press: async (key) => {
      await look("KEY");
      await page.keyboard.press(key);
      await pause(150, 300);
    },
    select: async (target, label) => {
      await reveal(target);
      await look("INPUT");
      await target.focus();
      await pause(200, 400);
      await target.selectOption({ label });
    },
    hover: async (target) => {
      await reveal(target);
      await look("HOVER");
      await moveTo(target);
      await pause(350, 600);
    },
    drag: async (target, from, to) => {
      await reveal(target);
      await look("DRAG");
      const box = await target.boundingBox();
      if (box === null) throw new Error(`${plan.id}: nothing to drag: ${target}`);
      const y = box.y + box.height / 2;
      await page.mouse.move(box.x + box.width * from, y, { steps: 5 });
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * to, y, { steps: 12 });
      await page.mouse.up();
      await pause(200, 400);
    },
  };
}

/** Puts together events and screenshots, in the order in which they came. */
class Capture {
  #error: Error | undefined;
  #lines: string[] = [];
  #frames: { readonly type: string; readonly shot: unknown }[] = [];
  readonly #directory: URL;
  readonly #cdp: CDPSession;

  constructor(directory: URL, cdp: CDPSession) {
    this.#directory = directory;
    this.#cdp = cdp;
  }

  get count(): number {
    return this.#lines.length;
  }

  /** Takes the screenshot that belongs before the next event of `type`. */
  async look(type: string): Promise<void> {
    const { cssVisualViewport } = await this.#cdp.send("Page.getLayoutMetrics");
    const { data } = await this.#cdp.send("Page.captureScreenshot", { format: "webp", quality: 55 });
    const bytes = Buffer.from(data, "base64");
    const blobId = createHash("sha256").update(bytes).digest("hex");
    await writeFile(new URL(`blobs/${blobId}.webp`, this.#directory), bytes);
    const width = Math.round(cssVisualViewport.clientWidth);
    const height = Math.round(cssVisualViewport.clientHeight);
    this.#frames.push({ type, shot: { blobId, phase: "SCREENSHOT_PHASE_BEFORE", width, height } });
  }

  /** An error in the page, the recorder's own among them, spoils the recording. */
  fail(error: Error): void {
    this.#error ??= error;
  }

  collect(json: string): void {
    const event: unknown = JSON.parse(json);
    if (typeof event !== "object" || event === null || !("type" in event))
      throw new Error("The recorder told no event.");
    const seq = this.#lines.length + 1;
    const index = this.#frames.findIndex((frame) => event.type === `EVENT_TYPE_${frame.type}`);
    const screenshots = index === -1 ? undefined : this.#frames.splice(index, 1).map((frame) => frame.shot);
    this.#lines.push(JSON.stringify({ seq: String(seq), id: `e${seq}`, ...event, screenshots }));
  }

  async write(session: unknown): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    const left = this.#frames.map((frame) => frame.type);
    if (left.length > 0) throw new Error(`No event came for these screenshots: ${left.join(", ")}`);
    await writeFile(new URL("session.json", this.#directory), `${JSON.stringify(session, undefined, 2)}\n`);
    await writeFile(new URL("events.ndjson", this.#directory), `${this.#lines.join("\n")}\n`);
  }
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function pseudorandom(seed: string): () => number {
  let state = createHash("sha256").update(seed).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
