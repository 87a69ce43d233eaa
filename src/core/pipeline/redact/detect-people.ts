import { isCommonWord } from "./common-words.ts";
import type { Detector } from "./detector.ts";

/**
 * Names and dates of birth where the words before them say so: a greeting, a title, a label. Names
 * that nothing announces are found through what was typed into a form.
 */
export const detectPeople: Detector = (text, found) => {
  for (const { pattern, least } of ANNOUNCED) {
    for (const match of text.matchAll(pattern)) {
      const words = (match[1] ?? "").split(" ");
      const common = words.findIndex((word) => isCommonWord(word));
      const name = words
        .slice(0, common === -1 ? words.length : common)
        .join(" ")
        .replace(/['’]s$|['’.-]+$/u, "");
      const start = match.index + match[0].length - (match[1] ?? "").length;
      if (name !== "" && name.split(" ").length >= least) found("person", start, start + name.length);
    }
  }
  for (const match of text.matchAll(BORN)) {
    const end = match.index + match[0].length;
    found("date_of_birth", end - (match[1] ?? "").length, end);
  }
};

const NAME = String.raw`\p{Lu}[\p{L}\p{M}'’.-]{0,40}`;
const NAMES = `(${NAME}(?: ${NAME}){0,3})`;
const ONE_OR_TWO = `(${NAME}(?: ${NAME})?)`;

const ANNOUNCED: readonly { readonly pattern: RegExp; readonly least: number }[] = [
  // Mr. Tran; not the drink, the boots and the soap.
  {
    pattern: new RegExp(
      String.raw`(?<![\p{L}\p{N}])(?:(?:Mr|Mrs|Ms|Mx|Dr|Prof|Sr|Sra)\. ?|Miss |Herr |Frau |Madame |Monsieur |Señora? |Signora? )(?!Martens|Pepper|Oetker|Scholl|Bronner|Seuss|Clean|Porter)${NAMES}`,
      "gu",
    ),
    least: 1,
  },
  // Hello, Jane; Signed in as Jane Doe
  {
    pattern: new RegExp(
      String.raw`(?<![\p{L}\p{N}])(?:(?:Hello|Hi|Hey|Dear|Hallo|Bonjour|Hola|Ciao|Olá)(?:,? )|(?:Welcome(?: back)?|Willkommen(?: zurück)?|Bienvenue), |Welcome back |(?:Signed|Logged) in as:? )(?!(?:Mr|Mrs|Ms|Mx|Dr|Prof|Miss|Sir|Madam)\b)${ONE_OR_TWO}(?=[,.!?;:\n]|$| [-–|(])`,
      "gu",
    ),
    least: 1,
  },
  // Full name: Jane Doe
  {
    pattern: new RegExp(
      String.raw`(?<![\p{L}\p{N}])(?:[Ff]ull|[Cc]ustomer|[Cc]ontact|[Rr]ecipient|[Cc]ardholder|[Pp]atient|[Pp]assenger|[Gg]uest|[Ee]mployee)['’]?s? [Nn]ame ?: ?${NAMES}`,
      "gu",
    ),
    least: 1,
  },
  { pattern: new RegExp(String.raw`(?<=^|\n|[;|] ?)[Nn]ame ?: ?${NAMES}`, "gu"), least: 2 },
];

const BORN =
  /\b(?:date of birth|birth ?date|birthday|d\.?o\.?b\.?|born(?: on)?|geburtsdatum|geboren(?: am)?|date de naissance|fecha de nacimiento)[ :]{1,3}(\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|\d{1,2}(?:st|nd|rd|th|\.)? \p{L}{3,12},? \d{4}|\p{L}{3,12}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4})(?!\d)/giu;
