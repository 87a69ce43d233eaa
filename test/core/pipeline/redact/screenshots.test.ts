import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type {
  Box,
  Page,
  PageElement,
  Screenshot,
  SessionEvent,
  Target,
} from "../../../../src/core/pipeline/recorded.ts";
import { readImageFormat } from "../../../../src/core/pipeline/redact/image-format.ts";
import { Blobs, redactSession, sessionEvent } from "./sessions.ts";

const URL_OF_PAGE = "http://shop.example.com/checkout";
const EMAIL = "dana@example.com";
const EMAIL_BOX: Box = { x: 100, y: 200, width: 80, height: 20 };

/** A picture without a black pixel: red grows to the right, green to the bottom. */
function picture(width: number, height: number): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([10 + (x % 240), 10 + (y % 240), 200], (y * width + x) * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

function page(more: Partial<Page> = {}): Page {
  return {
    url: URL_OF_PAGE,
    title: "Checkout",
    viewport: { width: 640, height: 360 },
    devicePixelRatio: 1,
    scroll: { x: 0, y: 0 },
    ...more,
  };
}

function shot(blob: string, phase: Screenshot["phase"] = "before"): Screenshot {
  return { blob, phase };
}

function shows(text: string, box?: Box): Target {
  return {
    selectors: [],
    text,
    tag: "p",
    attributes: [{ name: "id", value: "sent-to" }],
    ancestors: [],
    ...(box && { box }),
  };
}

/** Runs the stage and gives back what became of the first screenshot named, with its pixels. */
async function paint(events: readonly SessionEvent[], blobs: Blobs, params: Parameters<typeof redactSession>[2] = {}) {
  const output = await redactSession(events, {}, params, blobs);
  const left = output.events.flatMap(({ screenshots }) => screenshots);
  const bytes = blobs.derived.get(left[0]?.blob ?? "");
  const { data, info } = bytes === undefined ? {} : await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  const isBlack = (x: number, y: number) => {
    const at = (y * (info?.width ?? 0) + x) * (info?.channels ?? 3);
    return data?.[at] === 0 && data[at + 1] === 0 && data[at + 2] === 0;
  };
  return { output, left, bytes, isBlack, report: output.report.screenshots };
}

/** The corners of a box, a pixel inside and the margin and a pixel outside. */
function corners({ x, y, width, height }: Box) {
  const inside = [
    [x + 1, y + 1],
    [x + width - 1, y + height - 1],
  ] as const;
  const outside = [
    [x - 6, y - 6],
    [x + width + 5, y + height + 5],
  ] as const;
  return { inside, outside };
}

describe("a screenshot is painted over", () => {
  test.each([
    ["at the nominal ratio", 640, 360, 1, 1],
    ["on a screen of two pixels a pixel", 1280, 720, 2, 2],
    ["by its real size where the ratio told is another", 960, 540, 2, 1.5],
  ])("where the box of a value is, %s", async (_name, width, height, devicePixelRatio, scale) => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(width, height).png().toBuffer());
    const event = sessionEvent(1, {
      page: page({ devicePixelRatio }),
      target: shows(`Sent to ${EMAIL}`, EMAIL_BOX),
      screenshots: [shot(blob)],
    });
    const { left, isBlack, report } = await paint([event], blobs);
    const box = Object.fromEntries(Object.entries(EMAIL_BOX).map(([key, value]) => [key, value * scale]));
    const { inside, outside } = corners({ ...EMAIL_BOX, ...box });
    expect(inside.map(([x, y]) => isBlack(x, y))).toEqual([true, true]);
    expect(outside.map(([x, y]) => isBlack(x, y))).toEqual([false, false]);
    expect(left).toEqual([{ blob: expect.not.stringMatching(blob), phase: "before", size: { width, height } }]);
    expect(report).toEqual({ painted: 1, clean: 0, withheld: [], boxes: 1 });
  });

  test("where a personal field is that holds something, masked or not, and not where it is empty", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const attributes = [{ name: "type", value: "password" }];
    const elements: PageElement[] = [
      { tag: "input", value: "••••", attributes, box: { x: 10, y: 10, width: 50, height: 20 } },
      { tag: "input", value: "", attributes, box: { x: 10, y: 100, width: 50, height: 20 } },
      { tag: "p", text: "Nothing", attributes: [], box: { x: 10, y: 200, width: 50, height: 20 } },
    ];
    const { isBlack } = await paint([sessionEvent(1, { page: page(), elements, screenshots: [shot(blob)] })], blobs);
    expect([isBlack(20, 20), isBlack(20, 110), isBlack(20, 210)]).toEqual([true, false, false]);
  });

  test("where an element known from other events is by now, given the scrolling between", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const typed = sessionEvent(1, { page: page({ scroll: { x: 0, y: 100 } }), target: shows(EMAIL, EMAIL_BOX) });
    const again = sessionEvent(2, {
      page: page({ scroll: { x: 0, y: 0 } }),
      target: shows(EMAIL, { ...EMAIL_BOX, y: 300 }),
    });
    const now = sessionEvent(3, { page: page({ scroll: { x: 0, y: 150 } }), screenshots: [shot(blob, "unknown")] });
    const { isBlack } = await paint([typed, again, now], blobs);
    expect([isBlack(140, 160), isBlack(140, 210)]).toEqual([true, false]);
  });

  test("where a header that stays in view was, however far the page was scrolled", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const seen = [0, 90].map((y, at) =>
      sessionEvent(at + 1, { page: page({ scroll: { x: 0, y } }), target: shows(EMAIL, EMAIL_BOX) }),
    );
    const now = sessionEvent(3, { page: page({ scroll: { x: 0, y: 150 } }), screenshots: [shot(blob, "unknown")] });
    const { isBlack } = await paint([...seen, now], blobs);
    expect([isBlack(140, 210), isBlack(140, 60), isBlack(140, 150)]).toEqual([true, false, false]);
  });

  test("at both places when nobody can tell which", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const seen = sessionEvent(1, { page: page(), target: shows(EMAIL, EMAIL_BOX) });
    const now = sessionEvent(2, { page: page({ scroll: { x: 0, y: 150 } }), screenshots: [shot(blob, "after")] });
    const { isBlack } = await paint([seen, now], blobs);
    expect([isBlack(140, 210), isBlack(140, 60)]).toEqual([true, true]);
  });

  test("only where it goes along with the page, once another event tells that it is out of view", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const others: PageElement[] = [{ tag: "p", text: "Nothing", attributes: [] }];
    const seen = sessionEvent(1, { page: page(), target: shows(EMAIL, EMAIL_BOX) });
    const scrolled = page({ scroll: { x: 0, y: 150 } });
    const now = sessionEvent(2, { page: scrolled, elements: others, screenshots: [shot(blob, "after")] });
    const { isBlack } = await paint([seen, now], blobs);
    expect([isBlack(140, 210), isBlack(140, 60)]).toEqual([false, true]);
  });

  test("not where a field is that is known to be empty still, and where one is of which nothing is known yet", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const field = (value: string): PageElement => ({
      tag: "input",
      value,
      attributes: [
        { name: "id", value: "mail" },
        { name: "type", value: "email" },
      ],
      box: EMAIL_BOX,
    });
    const later = sessionEvent(3, { page: page(), elements: [field(EMAIL)] });
    const first = sessionEvent(2, { page: page(), screenshots: [shot(blob, "after")] });
    const unknown = await paint(
      [first, sessionEvent(4, { page: page({ url: "http://x.example.com/" }) }), later],
      blobs,
    );
    expect(unknown.isBlack(140, 210)).toBe(true);
    const told = { ...first, elements: [field("")] };
    const known = await paint([told, sessionEvent(4, { page: page({ url: "http://x.example.com/" }) }), later], blobs);
    expect(known.isBlack(140, 210)).toBe(false);
  });

  test("on a picture of the whole page, at the place in the page", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 1000).png().toBuffer());
    const event = sessionEvent(1, {
      page: page({ scroll: { x: 0, y: 400 } }),
      target: shows(EMAIL, EMAIL_BOX),
      screenshots: [shot(blob)],
    });
    const { isBlack } = await paint([event], blobs);
    expect([isBlack(140, 610), isBlack(140, 210)]).toEqual([true, false]);
  });

  test("for all events that name it, and for the page that the step led to", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const click = sessionEvent(1, { page: page(), screenshots: [shot(blob, "after")] });
    const next = sessionEvent(2, {
      page: page({ url: "http://shop.example.com/done" }),
      target: shows(EMAIL, EMAIL_BOX),
      screenshots: [shot(blob, "before")],
    });
    const { left, isBlack } = await paint([click, next], blobs);
    expect(new Set(left.map((each) => each.blob)).size).toBe(1);
    expect(isBlack(140, 210)).toBe(true);
    const alone = await paint([click, { ...next, screenshots: [] }], blobs);
    expect(alone.isBlack(140, 210)).toBe(true);
  });

  test("only where the smallest elements that show a value are", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const body = { ...shows(`Thank you. We write to ${EMAIL}.`, { x: 0, y: 0, width: 640, height: 360 }), tag: "main" };
    const elements: PageElement[] = [{ tag: "span", text: EMAIL, attributes: [], box: EMAIL_BOX }];
    const inner = await paint(
      [sessionEvent(1, { page: page(), target: body, elements, screenshots: [shot(blob)] })],
      blobs,
    );
    expect([inner.isBlack(140, 210), inner.isBlack(400, 300)]).toEqual([true, false]);
    const twice = { ...body, text: `${body.text} ${EMAIL}` };
    const whole = await paint(
      [sessionEvent(1, { page: page(), target: twice, elements, screenshots: [shot(blob)] })],
      blobs,
    );
    expect(whole.isBlack(400, 300)).toBe(true);
  });

  test("with the same bytes every time", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const event = sessionEvent(1, { page: page(), target: shows(EMAIL, EMAIL_BOX), screenshots: [shot(blob)] });
    const [first, second] = [await paint([event], blobs), await paint([event], blobs)];
    expect(first.left).toEqual(second.left);
  });
});

describe("a screenshot of a page that shows a value nobody knows the place of", () => {
  const unlocated = [
    ["an element without a box", { target: shows(`Sent to ${EMAIL}`) }],
    ["another element without a box", { elements: [{ text: EMAIL, attributes: [] }] }],
    [
      "a container's name",
      { target: { ...shows("Sent"), ancestors: [{ tag: "section", name: `Orders of ${EMAIL}`, attributes: [] }] } },
    ],
  ] satisfies readonly (readonly [string, Partial<SessionEvent>])[];

  test("is withheld though one place is known, where the collector lists what the page shows and no boxes", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const target = { ...shows(EMAIL), box: { x: 10, y: 10, width: 100, height: 20 } };
    const told = (elements: SessionEvent["elements"]) => [
      sessionEvent(1, { page: page(), target, ...(elements && { elements }), screenshots: [shot(blob)] }),
    ];
    const text = { tag: "p", text: `Sent to ${EMAIL}`, attributes: [] };
    expect((await paint(told([text]), blobs)).report.withheld).toMatchObject([{ code: "UNLOCATED_VALUE" }]);
    const placed = { tag: "p", text: "Sent", attributes: [], box: { x: 10, y: 90, width: 9, height: 9 } };
    expect((await paint(told([text, placed]), blobs)).report.withheld).toEqual([]);
    expect((await paint(told(undefined), blobs)).report.withheld).toEqual([]);
    const unplaced = sessionEvent(2, { page: page(), target: shows(EMAIL) });
    expect((await paint([...told(undefined), unplaced], blobs)).report.withheld).toEqual([]);
  });

  test.each(unlocated)("is withheld: %s", async (_name, more) => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const events = [
      sessionEvent(1, { page: page(), ...more }),
      sessionEvent(2, { page: page(), screenshots: [shot(blob)] }),
    ];
    const { left, report } = await paint(events, blobs);
    expect(left).toEqual([]);
    expect(report).toEqual({
      painted: 0,
      clean: 0,
      boxes: 0,
      withheld: [{ ref: { stream: "main", seq: 2 }, code: "UNLOCATED_VALUE" }],
    });
    const kept = await paint(events, blobs, { unlocated: "keep" });
    expect(kept.report).toEqual({ painted: 0, clean: 1, boxes: 0, withheld: [] });
  });

  test("stays when another element tells where it is, when only its title or URL holds it, and before it was typed", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(640, 360).png().toBuffer());
    const screenshots = [shot(blob)];
    const found = [
      sessionEvent(1, {
        page: page(),
        target: shows(EMAIL),
        elements: [{ text: EMAIL, attributes: [], box: EMAIL_BOX }],
        screenshots,
      }),
    ];
    expect((await paint(found, blobs)).report.painted).toBe(1);
    const titled = [sessionEvent(1, { page: page({ title: EMAIL, url: `${URL_OF_PAGE}?to=${EMAIL}` }), screenshots })];
    expect((await paint(titled, blobs)).report.clean).toBe(1);
    const input = { value: EMAIL, masked: false, kind: "text" };
    const later = [
      sessionEvent(1, { page: page(), screenshots }),
      sessionEvent(2, { type: "input", input, page: page() }),
    ];
    expect((await paint(later, blobs)).report.clean).toBe(1);
  });

  test("or lies on it as nobody knows how, is withheld", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(1000, 800).png().toBuffer());
    const event = sessionEvent(1, { page: page(), target: shows(EMAIL, EMAIL_BOX), screenshots: [shot(blob)] });
    const { report } = await paint([event], blobs);
    expect(report.withheld.map(({ code }) => code)).toEqual(["GEOMETRY_UNKNOWN"]);
  });
});

describe("a screenshot with nothing to paint", () => {
  test.each(["png", "jpeg", "webp"] as const)(
    "keeps its bytes as %s, and is kept with the derived ones",
    async (format) => {
      const blobs = new Blobs();
      const original = await picture(64, 48).toFormat(format).toBuffer();
      const blob = blobs.add(original);
      const { left, bytes, report } = await paint([sessionEvent(1, { screenshots: [shot(blob)] })], blobs);
      expect(left).toEqual([{ blob, phase: "before", size: { width: 64, height: 48 } }]);
      expect(Buffer.from(bytes ?? []).equals(original)).toBe(true);
      expect(report.clean).toBe(1);
    },
  );

  const secret = "<x:xmpmeta xmlns:x='adobe:ns:meta/'>Dana Whitlock</x:xmpmeta>";
  const withExif = (image: Sharp) => image.withExif({ IFD0: { Artist: "Dana Whitlock" } });
  const dirty = [
    ["EXIF in PNG", () => withExif(picture(64, 48)).png().toBuffer()],
    ["EXIF in JPEG", () => withExif(picture(64, 48)).jpeg().toBuffer()],
    ["EXIF in WebP", () => withExif(picture(64, 48)).webp().toBuffer()],
    ["XMP in PNG", () => picture(64, 48).withXmp(secret).png().toBuffer()],
    ["XMP in WebP", () => picture(64, 48).withXmp(secret).webp().toBuffer()],
    ["a colour profile", () => picture(64, 48).withIccProfile("p3").jpeg().toBuffer()],
    ["a text chunk", async () => withTextChunk(await picture(64, 48).png().toBuffer())],
    [
      "bytes behind the end of PNG",
      async () => Buffer.concat([await picture(64, 48).png().toBuffer(), Buffer.from(secret)]),
    ],
    [
      "bytes behind the end of JPEG",
      async () => Buffer.concat([await picture(64, 48).jpeg().toBuffer(), Buffer.from(secret)]),
    ],
  ] as const;

  test.each(dirty)("loses %s and no pixel", async (_name, make) => {
    const blobs = new Blobs();
    const original = await make();
    const blob = blobs.add(original);
    expect(readImageFormat(original)?.bare).toBe(false);
    const {
      left,
      bytes = Buffer.alloc(0),
      report,
    } = await paint([sessionEvent(1, { screenshots: [shot(blob)] })], blobs);
    expect(left[0]?.blob).not.toBe(blob);
    expect(readImageFormat(bytes)).toMatchObject({ animated: false, bare: true });
    expect(Buffer.from(bytes).includes("Whitlock")).toBe(false);
    expect(await difference(bytes, original)).toBe(0);
    expect(report).toEqual({ painted: 0, clean: 1, withheld: [], boxes: 0 });
  });

  test.each(["png", "jpeg", "webp"] as const)("is not compressed anew as %s", async (format) => {
    const blobs = new Blobs();
    const plain = await picture(64, 48).toFormat(format).toBuffer();
    const blob = blobs.add(await withExif(sharp(plain)).toFormat(format).toBuffer());
    const profiled = blobs.add(await sharp(plain).withIccProfile("srgb").toFormat(format).toBuffer());
    const { left, bytes } = await paint(
      [sessionEvent(1, { screenshots: [shot(blob), shot(profiled, "after")] })],
      blobs,
    );
    expect(readImageFormat(bytes ?? Buffer.of())?.name).toBe(format);
    expect(new Set(left.map((each) => each.blob)).size).toBe(1);
  });

  test("stands as its EXIF orientation says", async () => {
    const blobs = new Blobs();
    const blob = blobs.add(await picture(64, 48).withMetadata({ orientation: 6 }).jpeg().toBuffer());
    const { left } = await paint([sessionEvent(1, { screenshots: [shot(blob)] })], blobs);
    expect(left[0]?.size).toEqual({ width: 48, height: 64 });
  });
});

describe("a screenshot that can't be looked at is withheld with a code", () => {
  const whole = () => picture(64, 48).png().toBuffer();
  const bad = [
    ["NOT_AN_IMAGE", async () => Buffer.from("GIF89a no picture")],
    ["NOT_AN_IMAGE", async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ["NOT_AN_IMAGE", async () => Buffer.alloc(0)],
    ["IMAGE_DAMAGED", async () => (await whole()).subarray(0, 60)],
    ["IMAGE_DAMAGED", async () => (await picture(640, 480).png().toBuffer()).subarray(0, 3000)],
    ["IMAGE_DAMAGED", async () => (await picture(640, 480).jpeg().toBuffer()).subarray(0, 3000)],
    ["IMAGE_DAMAGED", async () => (await picture(640, 480).webp().toBuffer()).subarray(0, 1000)],
    ["IMAGE_DAMAGED", async () => Buffer.concat([(await whole()).subarray(0, 8), Buffer.alloc(100, 7)])],
    [
      "IMAGE_TOO_LARGE",
      () =>
        sharp({ create: { width: 20_000, height: 10, channels: 3, background: "red" } })
          .png()
          .toBuffer(),
    ],
    [
      "IMAGE_TOO_LARGE",
      () =>
        sharp({ create: { width: 16_000, height: 16_000, channels: 3, background: "red" } })
          .png()
          .toBuffer(),
    ],
    ["IMAGE_ANIMATED", () => animated()],
  ] as const;

  test.each(bad)("%s", async (code, make) => {
    const blobs = new Blobs();
    const blob = blobs.add(await make());
    const { left, report } = await paint([sessionEvent(1, { screenshots: [shot(blob)] })], blobs);
    expect(left).toEqual([]);
    expect(report).toEqual({ painted: 0, clean: 0, boxes: 0, withheld: [{ ref: { stream: "main", seq: 1 }, code }] });
  });

  test("BLOB_MISSING", async () => {
    const { report } = await paint([sessionEvent(1, { screenshots: [shot("0".repeat(64))] })], new Blobs());
    expect(report.withheld.map(({ code }) => code)).toEqual(["BLOB_MISSING"]);
  });
});

describe("real screenshots", () => {
  const screens = fileURLToPath(new URL("../../../../../shared/data/screens/", import.meta.url));

  beforeEach((context) => {
    if (!existsSync(screens)) context.skip("no screenshots at ../shared/data/screens");
  });

  const LISTED = z.array(z.looseObject({ file: z.string(), w: z.int(), h: z.int() }));

  test("come out bare, with the pixels they had, those that are bare already as they are", async () => {
    const listed = LISTED.parse(JSON.parse(readFileSync(`${screens}images.json`, "utf8")));
    expect(listed.length).toBeGreaterThan(100);
    for (const { file, w, h } of listed.filter((_, at) => at % 5 === 0)) {
      const blobs = new Blobs();
      const original = readFileSync(screens + file);
      const blob = blobs.add(original);
      const { left, bytes, report } = await paint([sessionEvent(1, { screenshots: [shot(blob)] })], blobs);
      expect({ file, report }).toEqual({ file, report: { painted: 0, clean: 1, withheld: [], boxes: 0 } });
      expect(readImageFormat(bytes ?? Buffer.of())?.bare).toBe(true);
      expect([left[0]?.size?.width, left[0]?.size?.height].sort()).toEqual([w, h].sort());
      if (left[0]?.blob === blob) expect(Buffer.from(bytes ?? []).equals(original)).toBe(true);
      else expect(await difference(bytes, original)).toBeLessThanOrEqual(ROUNDING);
    }
  });
});

/** Going through a colour profile and back. */
const ROUNDING = 2;

/** Of the two pixels that differ most, in any channel. */
async function difference(a: Uint8Array | undefined, b: Uint8Array): Promise<number> {
  const [one, other] = [await pixels(a), await pixels(b)];
  expect(one.length).toBe(other.length);
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - (other[at] ?? 0))), 0);
}

async function pixels(image: Uint8Array | undefined): Promise<Buffer> {
  return await sharp(image).autoOrient().toColourspace("srgb").ensureAlpha().raw({ depth: "uchar" }).toBuffer();
}

function withTextChunk(png: Buffer): Buffer {
  const data = Buffer.from("Author\0Dana Whitlock");
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write("tEXt", 4, "latin1");
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
}

function animated(): Promise<Buffer> {
  const frames = Buffer.alloc(64 * 48 * 3 * 2, 90);
  frames.fill(180, 64 * 48 * 3);
  return sharp(frames, { raw: { width: 64, height: 96, channels: 3, pageHeight: 48 } })
    .webp({ loop: 0 })
    .toBuffer();
}
