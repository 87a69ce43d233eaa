import type { Labelled, LabelledSet } from "./pii-sets.ts";

/**
 * No public set marks keys and tokens, so this one is made: each shape as its vendor documents it,
 * filled by a generator with a fixed seed, in the places they leak to; and as many texts with what
 * looks like one and is none.
 */
export function labelledSecrets(): LabelledSet {
  const random = seeded(20_240_817);
  const texts = Array.from({ length: ROUNDS }, () => [
    ...SHAPES.flatMap((shape) => [place(shape(random), PLACES, random)]),
    ...PARAMETERS.map((parameter) => place(parameter(random), URLS, random)),
    ...WHOLE.map((whole) => marked(whole(random))),
    ...HARMLESS.map((harmless) => ({ text: harmless(random), spans: [] })),
  ]).flat();
  return { name: "made-up secrets", texts, kinds: ["secret"] };
}

const ROUNDS = 5;

type Random = (below: number) => number;

/** mulberry32 */
function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const HEX = "0123456789abcdef";
const DIGITS = "0123456789";
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALNUM = `${UPPER}${UPPER.toLowerCase()}${DIGITS}`;
const URL_SAFE = `${ALNUM}-_`;

function of(random: Random, length: number, alphabet: string = ALNUM): string {
  return Array.from({ length }, () => alphabet[random(alphabet.length)]).join("");
}

function base64(random: Random, bytes: number): string {
  return Buffer.from(Array.from({ length: bytes }, () => random(256))).toString("base64");
}

function jwt(random: Random): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: of(random, 10, DIGITS), iat: 1_700_000_000 + random(1e7) })}.${base64(random, 32).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

type Shape = (random: Random) => string;

/** As documented by AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI, Anthropic, Hugging Face and others. */
const SHAPES: readonly Shape[] = [
  (r) => `AKIA${of(r, 16, `${UPPER}234567`)}`,
  (r) => `ASIA${of(r, 16, `${UPPER}234567`)}`,
  (r) => `ghp_${of(r, 36)}`,
  (r) => `gho_${of(r, 36)}`,
  (r) => `ghs_${of(r, 36)}`,
  (r) => `github_pat_${of(r, 22)}_${of(r, 59)}`,
  (r) => `glpat-${of(r, 20, URL_SAFE)}`,
  (r) => `xoxb-${of(r, 12, DIGITS)}-${of(r, 13, DIGITS)}-${of(r, 24)}`,
  (r) => `xoxp-${of(r, 12, DIGITS)}-${of(r, 12, DIGITS)}-${of(r, 12, DIGITS)}-${of(r, 32, HEX)}`,
  (r) => `https://hooks.slack.com/services/T${of(r, 10, UPPER + DIGITS)}/B${of(r, 10, UPPER + DIGITS)}/${of(r, 24)}`,
  (r) => `sk_live_${of(r, 24)}`,
  (r) => `rk_live_${of(r, 24)}`,
  (r) => `pk_test_${of(r, 24)}`,
  (r) => `whsec_${of(r, 32)}`,
  (r) => `AIza${of(r, 35, URL_SAFE)}`,
  (r) => `ya29.${of(r, 90, URL_SAFE)}`,
  (r) => `GOCSPX-${of(r, 28, URL_SAFE)}`,
  (r) => `sk-proj-${of(r, 74, URL_SAFE)}T3BlbkFJ${of(r, 74, URL_SAFE)}`,
  (r) => `sk-${of(r, 48)}`,
  (r) => `sk-ant-api03-${of(r, 93, URL_SAFE)}AA`,
  (r) => `hf_${of(r, 34, UPPER + UPPER.toLowerCase())}`,
  (r) => `npm_${of(r, 36)}`,
  (r) => `pypi-AgEIcHlwaS5vcmc${of(r, 70, URL_SAFE)}`,
  (r) => `SG.${of(r, 22, URL_SAFE)}.${of(r, 43, URL_SAFE)}`,
  (r) => `key-${of(r, 32, HEX)}`,
  (r) => `SK${of(r, 32, HEX)}`,
  (r) => `${of(r, 10, DIGITS)}:AA${of(r, 33, URL_SAFE)}`,
  (r) => `shpat_${of(r, 32, HEX)}`,
  (r) => `dop_v1_${of(r, 64, HEX)}`,
  (r) => `dapi${of(r, 32, HEX)}`,
  (r) => `lin_api_${of(r, 40)}`,
  (r) => `ntn_${of(r, 46)}`,
  (r) => `hvs.${of(r, 90, URL_SAFE)}`,
  (r) => `dckr_pat_${of(r, 27, URL_SAFE)}`,
  (r) => `glsa_${of(r, 32)}_${of(r, 8, HEX)}`,
  (r) => `NRAK-${of(r, 27, UPPER + DIGITS)}`,
  jwt,
];

const PLACES: readonly Shape[] = [
  () => "Use § to sign in to the sandbox.",
  () => "const key = '§';",
  () => '{"key":"§","region":"eu-west-1"}',
  () => "Your new key is §\nKeep it safe; it is shown once.",
  () => "§",
  () => "curl -H 'x-auth: §' https://api.example.com/v2/orders",
];

const PARAMETERS: readonly Shape[] = [
  (r) => `access_token=§${of(r, 40)}`,
  (r) => `id_token=§${jwt(r)}`,
  (r) => `gclid=§Cj0KCQ${of(r, 70, URL_SAFE)}`,
  (r) => `fbclid=§IwAR${of(r, 57, URL_SAFE)}`,
  (r) => `msclkid=§${of(r, 32, HEX)}`,
  (r) => `sid=§${of(r, 26, HEX)}`,
  (r) => `PHPSESSID=§${of(r, 26, `${DIGITS}abcdefghijklmnopqrstuvwxyz`)}`,
  (r) => `X-Amz-Signature=§${of(r, 64, HEX)}`,
  (r) => `sig=§${base64(r, 32).replaceAll("+", "%2B").replaceAll("/", "%2F").replaceAll("=", "%3D")}`,
  (r) => `k=§${of(r, 43, URL_SAFE)}`,
  (r) => `uid=§${of(r, 24)}`,
  (r) => `code=§4/0A${of(r, 70, URL_SAFE)}`,
];

/** The value goes to the place of ¶, beginning at its §. */
const URLS: readonly Shape[] = [
  () => "https://shop.example.com/cart?lang=en&¶",
  () => "https://shop.example.com/login?¶&next=%2Faccount",
  () => "/callback?¶",
];

const WHOLE: readonly Shape[] = [
  (r) => `Authorization: Bearer §${of(r, 40, URL_SAFE)}7§`,
  (r) => `Authorization: Basic §${base64(r, 21)}§`,
  (r) => `postgres://§app:${of(r, 16)}§@db.internal.example.com:5432/orders`,
  (r) => `aws_secret_access_key = §${of(r, 40, `${ALNUM}/+`)}§`,
  (r) => `AccountName=files;AccountKey=§${base64(r, 64)}§;EndpointSuffix=core.windows.net`,
  (r) => `password: §${of(r, 6)}!${of(r, 4)}§`,
  (r) => `client_secret="§${of(r, 32)}§"`,
  (r) => `https://shop.example.com/cart;jsessionid=§${of(r, 32, UPPER.slice(0, 6) + DIGITS)}§?step=2`,
  (r) => `https://shop.example.com/account/reset/§${of(r, 40, URL_SAFE)}9§`,
  (r) => `§-----BEGIN PRIVATE KEY-----\n${base64(r, 180).replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----§\n`,
];

/** What people take for secrets and is none: hashes of public things, ids of products, words. */
const HARMLESS: readonly Shape[] = [
  (r) => `Merged in ${of(r, 40, HEX)} by the release job.`,
  (r) => `https://shop.example.com/assets/app.${of(r, 8, HEX)}.js`,
  (r) => `https://shop.example.com/p/oak-side-table-with-drawer-2024?variant=${of(r, 11, DIGITS)}`,
  (r) => `https://shop.example.com/results?q=desk+lamp&sort=rating&page=${r(30)}`,
  (r) =>
    `https://shop.example.com/product?id=${of(r, 8, HEX)}-${of(r, 4, HEX)}-4${of(r, 3, HEX)}-a${of(r, 3, HEX)}-${of(r, 12, HEX)}`,
  () => "https://news.example.com/2024/08/17/how-to-choose-a-standing-desk-for-a-small-home-office",
  () => "https://shop.example.com/?utm_source=newsletter&utm_campaign=late-summer-sale-2024-outdoor-living",
  (r) => `Order HP-${of(r, 5, DIGITS)} will arrive on ${1 + r(28)} August.`,
  () => "A small token of our appreciation: 10% off your next order.",
  () => "Password must have 8 or more characters, one of them a digit.",
  () => "Forgot your password? We will send a link to reset it.",
  () => "Basic understanding of woodwork is enough to build this shelf.",
  (r) => `Item ${of(r, 13, DIGITS)} · colour #${of(r, 6, HEX)}`,
  (r) => `class="css-${of(r, 6)} MuiButton-root jss${r(400)}"`,
  () => "Key features: solid oak, hidden cable tray, secret drawer.",
  () => "SK-II Facial Treatment Essence, 230 ml",
  (r) => `sha256-${base64(r, 32)} is the integrity of the script.`,
  () => "Bearer of good news: your parcel is out for delivery today.",
];

/** Puts the value where the template has §, or its part from § on where the template has ¶. */
function place(value: string, templates: readonly Shape[], random: Random): Labelled {
  const template = (templates[random(templates.length)] ?? templates[0])?.(random) ?? "§";
  const [before = "", after = ""] = template.split(/[§¶]/);
  const [name = "", secret = ""] = value.includes("§") ? value.split("§") : ["", value];
  const start = before.length + name.length;
  return {
    text: `${before}${name}${secret}${after}`,
    spans: [{ kind: "secret", start, end: start + secret.length }],
  };
}

function marked(text: string): Labelled {
  const [before = "", secret = "", after = ""] = text.split("§");
  return {
    text: before + secret + after,
    spans: [{ kind: "secret", start: before.length, end: before.length + secret.length }],
  };
}
