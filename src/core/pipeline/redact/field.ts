import type { RedactionKind } from "../recorded.ts";

/** What a page says of a form field. */
export interface FieldFacts {
  readonly autocomplete: string;
  /** The input's type. */
  readonly type: string;
  /** What programs call it: name, id, test id. */
  readonly names: readonly string[];
  /** What people call it: label, placeholder, title. */
  readonly labels: readonly string[];
}

/**
 * The kind of value a field is there for; undefined when it is for none that is personal. What is
 * meant for programs is believed first: autocomplete, then the type, the name, the label.
 */
export function kindOfField({ autocomplete, type, names, labels }: FieldFacts): RedactionKind | undefined {
  if (NEVER_TYPED.has(type)) return undefined;
  for (const token of autocomplete.toLowerCase().split(/\s+/).reverse()) {
    const kind = AUTOCOMPLETE.get(token);
    if (kind === "none") return undefined;
    if (kind !== undefined) return kind;
  }
  const byType = TYPES.get(type);
  if (byType !== undefined) return byType;
  if (type === "search") return undefined;
  for (const called of [...names, ...labels]) {
    const kind = kindByWords(wordsOf(called), WORDS);
    if (kind !== undefined) return kind;
  }
  return undefined;
}

/** The kind of a parameter or a property, of which no more than its name is known. `name` alone is as often a product's. */
export function kindOfName(name: string): RedactionKind | undefined {
  const words = wordsOf(name);
  return /^(?:name|title)$/.test(words) ? undefined : kindByWords(words, WORDS);
}

/** Whether a text says what a field is for, as a label does, rather than being what somebody put in. */
export function isLabel(text: string): boolean {
  return !/[\d@]/.test(text) && kindByWords(wordsOf(text), WORDS) !== undefined;
}

const NEVER_TYPED: ReadonlySet<string> = new Set([
  "checkbox",
  "radio",
  "submit",
  "button",
  "reset",
  "image",
  "range",
  "color",
  "file",
]);

/** WHATWG HTML, autofill field names. A country alone names nobody, and is needed to understand what was done. */
const AUTOCOMPLETE: ReadonlyMap<string, RedactionKind | "none"> = new Map(
  Object.entries({
    person:
      "name given-name additional-name family-name nickname username cc-name cc-given-name cc-additional-name cc-family-name",
    email: "email impp",
    phone: "tel tel-national tel-area-code tel-local tel-local-prefix tel-local-suffix tel-extension",
    address:
      "street-address address-line1 address-line2 address-line3 address-level1 address-level2 address-level3 address-level4 postal-code",
    card: "cc-number cc-exp cc-exp-month cc-exp-year",
    secret: "new-password current-password one-time-code cc-csc",
    date_of_birth: "bday bday-day bday-month bday-year",
    none: "organization organization-title country country-name tel-country-code language transaction-currency transaction-amount honorific-prefix honorific-suffix cc-type sex url photo",
  } satisfies Partial<Record<RedactionKind | "none", string>>).flatMap(([kind, tokens]) =>
    tokens.split(" ").map((token) => [token, kindOrNone(kind)] as const),
  ),
);

function kindOrNone(word: string): RedactionKind | "none" {
  switch (word) {
    case "person":
    case "email":
    case "phone":
    case "address":
    case "card":
    case "secret":
    case "date_of_birth":
      return word;
    default:
      return "none";
  }
}

const TYPES: ReadonlyMap<string, RedactionKind> = new Map([
  ["password", "secret"],
  ["email", "email"],
  ["tel", "phone"],
]);

/** `billingFirstName`, `billing[first_name]` and `Billing – first name` become `billing first name`. */
function wordsOf(name: string): string {
  return name
    .slice(0, MAX_NAME)
    .replaceAll(/(?<=\p{Ll})(?=\p{Lu})/gu, " ")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .join(" ")
    .trim();
}

const MAX_NAME = 200;

function kindByWords(words: string, table: readonly (readonly [RedactionKind | "none", RegExp])[]) {
  const found = table.find(([, pattern]) => pattern.test(words))?.[0];
  return found === "none" ? undefined : found;
}

const rule = (kind: RedactionKind | "none", ...words: readonly string[]) =>
  [kind, new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})(?![\\p{L}])`, "u")] as const;

/** English, German, French, Spanish, Italian, Dutch, Portuguese. The first that fits counts. */
const WORDS: readonly (readonly [RedactionKind | "none", RegExp])[] = [
  rule(
    "none",
    "(?:show|hide|forgot|reset|remember) ?(?:my )?password",
    "(?:promo|coupon|discount|voucher|offer|referral|country|area|currency|language|color|colour|product|item|order|tracking|qr|bar|source|dial|calling) ?code",
    "(?:e ?mail|phone|address|name|card|birth) ?(?:type|format|preference|status|verified|consent|opt ?in|list)",
    "(?:ip|web|mac|wallet|url|site|email server) ?address(?! ?line)(?<!(?:e ?mail|ip) ?address)",
    "(?:search|find|filter|sort)",
  ),
  rule(
    "secret",
    "pass ?(?:word|wd|code|phrase|wort)",
    "pwd",
    "kennwort",
    "mot de passe",
    "motdepasse",
    "contraseña",
    "contrasena",
    "clave",
    "senha",
    "wachtwoord",
    "otp",
    "totp",
    "2fa",
    "mfa ?code",
    "one ?time ?(?:code|password|pin)",
    "(?<!social )(?:verification|security|confirmation|auth(?:entication|orization)?|login|access|sms|card ?verification) ?(?:code|number|value|pin)",
    "(?:sicherheits|bestätigungs|prüf) ?(?:code|nummer|ziffer)",
    "codice (?:di )?(?:sicurezza|verifica)",
    "código de (?:seguridad|verificación|segurança)",
    "cv[cv]2?",
    "csc",
    "pin(?: ?number)?(?! ?code)",
    "secret(?: ?(?:key|question|answer|word))?",
    "security ?(?:question|answer)",
    "(?:api|access|private|auth|client|secret|license|licence) ?(?:key|token|secret)",
    "(?:csrf|xsrf) ?(?:token|middleware ?token)?",
    "token",
    "gift ?card(?: ?(?:number|code|pin))?",
  ),
  rule(
    "card",
    "(?:credit|debit|payment|bank|cc|kredit) ?(?:card|karten?) ?(?:number|num|no|nr|nummer)?",
    "card ?(?:number|num|no|nr|nummer)",
    "ccn(?:um|umber)?",
    "cc ?(?:number|num|no)",
    "kartennummer",
    "numéro de (?:la )?carte",
    "número de (?:la )?tarjeta",
    "numero (?:della )?carta",
    "kaartnummer",
    "número do cartão",
    "pan",
    "(?:card ?|cc ?)?(?:exp(?:iry|iration|ires)?)(?: ?(?:date|month|year|mm ?yy|mmyy))?",
  ),
  rule(
    "iban",
    "iban",
    "(?:bank ?)?account ?(?:number|num|no)",
    "(?:routing|sort|transit|bank) ?(?:number|code)",
    "kontonummer",
    "bankleitzahl",
    "número de cuenta",
  ),
  rule(
    "national_id",
    "ssn",
    "social ?(?:security|insurance) ?(?:number|no|num)?",
    "(?:national|tax|taxpayer|government|citizen) ?(?:id|identification|identity|insurance)(?: ?(?:number|no|code))?",
    "(?:passport|driver s? ?licen[cs]e|drivers ?licen[cs]e|driving ?licen[cs]e|id ?card|identity ?card|ni|nino|vat) ?(?:number|no|num)?(?= |$)",
    "(?:steuer ?(?:id|identifikationsnummer|nummer)|personalausweis|sozialversicherungsnummer|reisepass)",
    "(?:dni|nie|nif|nir|cpf|cnp|pesel|bsn|codice ?fiscale|aadha?ar|curp|rfc|personnummer|burgerservicenummer)",
    "numéro de sécurité sociale",
  ),
  rule(
    "date_of_birth",
    "(?:date ?of ?birth|birth ?(?:date|day)|dob|bday|born)",
    "birth ?(?:month|year)",
    "(?:month|day|year) of birth",
    "geburts ?(?:datum|tag|jahr|monat)",
    "(?:date de naissance|fecha de nacimiento|data di nascita|geboortedatum|data de nascimento)",
  ),
  rule("ip", "ip ?(?:address|addr|v4|v6)"),
  rule(
    "email",
    "e ?mails?(?: ?(?:address|id|addr))?",
    "emailaddress",
    "mail(?: ?(?:address|adresse))?",
    "correo(?: electrónico)?",
    "courriel",
    "(?:posta elettronica|indirizzo email)",
  ),
  rule(
    "phone",
    "(?:tele ?|mobile ?|cell ?)?phone(?: ?(?:number|no|num|nr))?",
    "(?:mobile|cell|tel|fax|telephone|whatsapp|sms)(?: ?(?:number|no|num|nr))?",
    "contact ?(?:number|no|num|nr)",
    "(?:telefon|handy|mobil|rufnummer)(?:nummer)?",
    "(?:téléphone|portable|teléfono|móvil|telefono|cellulare|telefoon|telefone|celular)",
  ),
  rule("none", "(?:store|shop|branch|pickup|return|warehouse) (?:address|city|zip)"),
  rule(
    "address",
    "(?:street|home|postal|mailing|billing|shipping|delivery|residential|permanent|your)? ?address(?: ?(?:line)? ?\\d?)?",
    "addr(?:ess)?\\d?",
    "street(?: ?(?:name|number|no|line ?\\d?))?",
    "(?:house|apartment|apt|flat|unit|suite)(?: ?(?:number|no|num))",
    "(?:zip|postal|post|pin)(?: ?code)",
    "(?:zip|postcode|postleitzahl|plz|pincode|^cap$)",
    "(?:city|town|suburb|locality)",
    "(?:straße|strasse|hausnummer|adresse|anschrift|ort|stadt|wohnort)",
    "(?:rue|code postal|ville|dirección|direccion|calle|código postal|ciudad|indirizzo|città|straat|huisnummer|postcode|woonplaats|endereço|cep|cidade)",
  ),
  rule(
    "none",
    "(?:company|organi[sz]ation|business|product|item|file|list|project|brand|store|shop|domain|event|group|team|school|bank|host|server|class|tag|field|image|collection|playlist|folder|document|device|app|display ?mode|pet|game|recipe|location|place|template|category|house|firmen|gift|board|channel|room|page|site|workspace|network|bundle|registry) ?name",
  ),
  rule(
    "person",
    "(?:first|last|full|given|family|middle|sur|maiden|legal|real|fore|second|contact|customer|client|user|billing|shipping|recipient|cardholder|card ?holder|account ?holder|holder|passenger|guest|patient|employee|student|author|your|nick|display|profile|member|owner|traveler|traveller|screen|login|beneficiary|payee|sender|receiver|attendee|contact ?person)(?: ?s)? ?(?:first |last |full )?names?",
    "(?:f|l|m)name",
    "name (?:on|of) (?:the )?card",
    "name on account",
    "names? \\(?(?:first|last|full)",
    "(?:card ?holder|account ?holder|recipient|addressee|beneficiary|surname|forename|nickname|username|fullname|firstname|lastname)",
    "^(?:your )?name$",
    "(?:vor|nach|familien|zu|benutzer)name",
    "(?:prénom|prenom|nom (?:de famille|complet|d utilisateur)|nom)",
    "(?:nombre(?: completo)?|apellidos?|usuario)",
    "(?:cognome|nome(?: e cognome| completo)?|nome utente)",
    "(?:voornaam|achternaam|gebruikersnaam|naam)",
    "(?:sobrenome|apelido)",
    "user ?id",
    "login ?id",
    "login",
  ),
];
