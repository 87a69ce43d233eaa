import type { Detector } from "./detector.ts";
import { kindOfName } from "./field.ts";

/**
 * What URLs carry: parameters named after a personal field, click ids, session ids, tokens, and
 * values that only a machine could have made up.
 */
export const detectInUrls: Detector = (text, found) => {
  if (text.includes("=")) {
    for (const match of text.matchAll(PARAMETER)) {
      const [whole, name = "", value = ""] = match;
      const kind = kindOfParameter(name, value);
      if (kind !== undefined) found(kind, match.index + whole.length - value.length, match.index + whole.length);
    }
  }
  if (!text.includes("/")) return;
  for (const match of text.matchAll(SEGMENT)) {
    const segment = match[1] ?? "";
    if (isRandom(segment, 16))
      found("secret", match.index + match[0].length - segment.length, match.index + match[0].length);
  }
};

/** Of a query, a fragment or a path: `;jsessionid=1`. */
const PARAMETER = /(?<=[?&#]|; ?)([\w.$[\]~-]{1,80})=([^\s?&#;"'<>]{1,4000})/g;

/** What stands behind a word that announces it. */
const SEGMENT =
  /\/(?:reset(?:-password)?|verify|verification|confirm|activate|token|session|sessions|invite|invitation|magic|magic-link|unsubscribe|auth|login|s|share)\/([\w.~=-]{16,1000})(?![\w%])/gi;

function kindOfParameter(name: string, value: string) {
  if (/^(?:true|false|null|undefined|none|all|any|yes|no|on|off|[01])$/i.test(value)) return undefined;
  if (CLICK_ID.test(name) || SESSION.test(name)) return "secret";
  const kind = kindOfName(name);
  if (kind !== undefined) return kind;
  const harmless = HARMLESS.test(name) || (/^id$/i.test(name) && UUID.test(value));
  return !harmless && isRandom(value, 20) ? "secret" : undefined;
}

/** Ids that advertisers give a click or a reader, by which they know the person again. */
const CLICK_ID =
  /^(?:gclid|dclid|wbraid|gbraid|fbclid|fb_click_id|msclkid|yclid|ysclid|ttclid|twclid|li_fat_id|igshid|igsh|epik|irclickid|irgwc|cjevent|cjdata|awc|ranSiteID|vmcid|rdt_cid|sccid|ScCid|s_kwcid|ef_id|click_?id|mkt_tok|mc_eid|mc_cid|_hsenc|_hsmi|hsa_\w+|vero_id|oly_(?:anon|enc)_id|_ga|_gl|_gac|_fbp|_fbc|_kx|_bta_tid|bxid|wickedid|trk_\w+id|zanpid)$/i;

const SESSION =
  /^(?:(?:js?|php|asp\.?net_?|user_?)?sess(?:ion)?_?(?:id|key|token)?|sid|cfid|cftoken|(?:access|id|refresh|auth|csrf|xsrf|reset|login|security|verification|bearer|device|push|user|api)_?-?token|token|jwt|auth|authorization|api_?-?key|app_?key|secret|client_?secret|sig|signature|hmac|x-amz-(?:signature|credential|security-token)|hash_?key|ticket|otp|passcode|nonce|saml(?:request|response))$/i;

/** Names of what a shop sells or a page shows: their values are the same for everybody. */
const HARMLESS =
  /^(?:(?:item|product|variant|sku|asin|category|cat|page|image|img|asset|file|v|ver|version|hash|etag|build|store|brand|list|node|style|color|colour)_?-?(?:id|guid|uuid|key)?|utm_\w+|q|query|search|keywords?|ref|redirect|return|next|url|sort|filters?|tags?)$/i;

/** An `id` that is one is a thing's; a person's has a longer name. */
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Long enough, letters and digits mixed as no word mixes them. */
function isRandom(value: string, least: number): boolean {
  const bare = value.replaceAll(/%[0-9a-f]{2}/gi, "");
  if (bare.length < least || !/\d/.test(bare) || !/[A-Za-z]/.test(bare) || !/^[\w.~+/=:|$!*-]+$/.test(bare))
    return false;
  const parts = bare.split(/[^A-Za-z0-9]+|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])/);
  const words = parts.filter((part) => /^\d{1,4}$/.test(part) || (WORD.test(part) && /[aeiouy]/i.test(part)));
  const known = words.reduce((sum, word) => sum + word.length, 0);
  return known < bare.length * MOSTLY && entropy(bare) >= MIN_BITS;
}

const WORD = /^(?:[a-z]{3,}|[A-Z][a-z]{2,}|[A-Z]{3,})$/;
/** A slug of words and years is known for more than this. */
const MOSTLY = 0.75;
/** Shannon's, a character. Slugs of English come to the same; it keeps out `a1a1a1a1`. */
const MIN_BITS = 2.8;

function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - (count / text.length) * Math.log2(count / text.length), 0);
}
