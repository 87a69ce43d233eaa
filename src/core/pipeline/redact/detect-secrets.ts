import type { Detector } from "./detector.ts";

/** Keys, tokens and passwords: those of a published shape, and those that what stands before them gives away. */
export const detectSecrets: Detector = (text, found) => {
  if (RUN.test(text)) {
    for (const pattern of SHAPES) {
      for (const { 0: match, index } of text.matchAll(pattern)) found("secret", index, index + match.length);
    }
  }
  if (!TELLTALE.test(text)) return;
  for (const pattern of GIVEN_AWAY) {
    for (const match of text.matchAll(pattern)) {
      const secret = match[1] ?? "";
      const end = match.index + match[0].length;
      if (secret !== "") found("secret", end - secret.length, end);
    }
  }
};

/** No shape is shorter than this without a break, and most texts have no such run. */
const RUN = /[\w.$:/+=-]{15}/;
/** What one of GIVEN_AWAY begins with. */
const TELLTALE = /pass|pwd|kennwort|contrase|senha|wachtwoord|otp|code|key|secret|token|bearer|basic|:\/\/|@/i;

/** One can't begin inside another, so that a text of nothing but beginnings is gone through once. */
const shape = (pattern: string): RegExp => new RegExp(`(?<![\\w-])(?:${pattern})(?![A-Za-z0-9])`, "g");

/** As the vendors' own documents and the public lists of secret scanners give them. */
const SHAPES: readonly RegExp[] = [
  // JSON Web Tokens and encrypted ones: RFC 7519, base64url of {" first.
  shape(String.raw`eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}`),
  // AWS access keys
  shape("(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
  // GitHub, GitLab, Bitbucket
  shape(
    String.raw`gh[pousr]_\w{36,251}|github_pat_\w{22,255}|gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[\w.-]{20,300}|ATBB\w{32}`,
  ),
  // Slack, Discord, Telegram
  shape(
    String.raw`xox[abeoprs]-[\w-]{10,250}|xapp-\d-[\w-]{20,250}|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}|\d{8,10}:[\w-]{35}`,
  ),
  /https:\/\/hooks\.slack\.com\/(?:services|workflows)\/[\w/]{20,200}/g,
  /https:\/\/(?:\w+\.)?discord(?:app)?\.com\/api\/webhooks\/\d{10,20}\/[\w-]{60,80}/g,
  // Stripe, Square, PayPal's Braintree, Shopify
  shape(
    String.raw`(?:sk|rk|pk)_(?:live|test)_\w{10,247}|whsec_[\w+/=]{24,100}|sq0(?:atp|csp)-[\w-]{22,60}|EAAA[\w-]{60}`,
  ),
  shape(String.raw`access_token\$(?:production|sandbox)\$\w{16}\$\w{32}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`),
  // Google, Azure, DigitalOcean, Heroku, Cloudflare
  shape(
    String.raw`AIza[\w-]{35}|ya29\.[\w-]{20,400}|GOCSPX-[\w-]{28}|1//0[\w-]{40,200}|do[opr]_v1_[a-f0-9]{64}|HRKU-[\w-]{36,80}`,
  ),
  /(?<=(?:AccountKey|SharedAccessKey)=)[A-Za-z0-9+/]{42,86}={0,2}/g,
  // OpenAI, Anthropic, Hugging Face, Databricks, Replicate, Groq
  shape(
    String.raw`sk-(?:proj-|svcacct-|admin-|ant-[\w]+-|or-v1-)?[\w-]{20,250}|hf_[A-Za-z]{30,40}|dapi[a-f0-9]{32}|r8_\w{37}|gsk_\w{48,56}`,
  ),
  // npm, PyPI, RubyGems, Docker, Terraform, Vault, Linear, Notion, Figma, Postman, New Relic, Sentry, Grafana, Doppler
  shape(
    String.raw`npm_\w{36}|pypi-[\w-]{50,300}|rubygems_[a-f0-9]{48}|dckr_pat_[\w-]{27}|\w{14}\.atlasv1\.[\w-]{60,70}`,
  ),
  shape(
    String.raw`hv[sb]\.[\w-]{24,300}|lin_(?:api|oauth)_\w{32,64}|(?:secret|ntn)_\w{40,50}|figd_[\w-]{40,60}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}`,
  ),
  shape(
    String.raw`NR(?:AK|JS|II)-[\w-]{19,40}|sntry[su]_[\w+/=-]{40,250}|gl(?:sa|c)_[\w+/=-]{32,300}|dp\.(?:pt|st|ct)\.[\w.-]{40,60}`,
  ),
  // SendGrid, Mailgun, Mailchimp, Twilio
  shape(String.raw`SG\.[\w-]{16,32}\.[\w-]{30,64}|key-[a-f0-9]{32}|[a-f0-9]{32}-us\d{1,2}|(?:SK|AC)[a-f0-9]{32}`),
  // age, and keys in PEM
  /AGE-SECRET-KEY-1[A-Z0-9]{58}/g,
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\,:]|-(?!-)){16,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
];

/** The secret is the last group and the end of each match. */
const GIVEN_AWAY: readonly RegExp[] = [
  // RFC 6750 and RFC 7617
  /\b(?:bearer|basic|token)[ ]{1,3}((?=[\w.~+/=-]{0,200}\d)[\w.~+/-]{16,4000}={0,2})/gi,
  // https://user:secret@host
  /\b[a-z][a-z0-9+.-]{1,20}:\/\/([^\s/?#@:]{1,100}:[^\s/?#@]{1,200})(?=@)/gi,
  // password: x; DB_PASSWORD=x; api_key = "x"
  /(?<![A-Za-z0-9])(?:pass(?:word|code|phrase|wd)|pwd|passwort|kennwort|mot de passe|contraseña|senha|wachtwoord|otp|pin code|security code|(?:api|access|secret|secret[ _-]?access|private|client|auth|encryption|signing)[ _-]?(?:key|secret|token)(?:[ _-]?id)?)["']?\s{0,2}[:=]\s{0,2}["'`]?((?!https?:|(?:required|optional|forgot\w*|must|incorrect|invalid|wrong|missing|expired|show|hide|change\w*|reset|updated?|weak|medium|strong|enter|none|null|undefined|true|false)\b)[^\s"'`<>,;&]{4,200}[^\s"'`<>,;&.])/gi,
  // jane@example.com / x
  /@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4} \/ ((?=\S{0,40}[\d!@#$%^&*+=?~])(?=\S{0,40}[A-Za-z])[^\s"'<>(),;/]{5,60}[^\s"'<>(),;/.:?])/g,
  // the password 'x', password x when x is no word
  /\bpass(?:word|code|phrase)s?(?: (?:is|was|as|of))?[ ]{1,2}["'‘“`]((?! )[^"'’”`\n]{3,100})(?=["'’”`])/gi,
  /\bpass(?:word|code|phrase)s?(?: (?:is|was|as|of))? ((?=\S{0,40}[\d!@#$%^&*+=?~])(?=\S{0,40}[A-Za-z])[^\s"'<>(),;]{5,60}[^\s"'<>(),;.:?])/gi,
];
