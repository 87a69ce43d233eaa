/** Numbers that carry their own proof. Each takes digits and letters alone, letters upper case. */

/** ISO/IEC 7812: payment cards, Canadian and Swedish ids. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    const doubled = at % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** ISO 13616: country, its length, and the remainder by 97. */
export function isIban(text: string): boolean {
  return text.length === IBAN_LENGTHS.get(text.slice(0, 2)) && remainder97(text.slice(4) + text.slice(0, 4)) === 1;
}

/** The registry of IBAN formats, release 100. */
export const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
  }).flatMap(([length, countries]) => countries.split(" ").map((country) => [country, Number(length)])),
);

/** Letters count as two digits, A as 10. */
function remainder97(text: string): number {
  let remainder = 0;
  for (const character of text) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}

/** Spain: eight digits, or X, Y, Z and seven, and the letter of their remainder by 23. */
export function isDniOrNie(text: string): boolean {
  if (!/^[XYZ\d]\d{7}[A-Z]$/.test(text)) return false;
  const number = Number(text.slice(0, 8).replace(/^[XYZ]/, (letter) => String("XYZ".indexOf(letter))));
  return text[8] === "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23];
}

/** Italy, decree of 23 December 1976: characters at odd places count by a table of their own. */
export function isCodiceFiscale(text: string): boolean {
  if (!/^[A-Z]{6}[\dLMNPQRSTUV]{2}[ABCDEHLMPRST][\dLMNPQRSTUV]{2}[A-Z][\dLMNPQRSTUV]{3}[A-Z]$/.test(text)) return false;
  let sum = 0;
  for (let at = 0; at < 15; at++) {
    const value = Number.parseInt(text[at] ?? "", 36);
    const place = value > 9 ? value - 10 : value;
    sum += at % 2 === 1 ? place : (CODICE_ODD[place] ?? 0);
  }
  return text.charCodeAt(15) - 65 === sum % 26;
}

const CODICE_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** Germany: ISO 7064 MOD 11,10; of the first ten digits exactly one occurs two or three times. */
export function isSteuerId(digits: string): boolean {
  if (!/^[1-9]\d{10}$/.test(digits)) return false;
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  if (repeated.length !== 1 || (repeated[0] ?? 0) > 3) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) {
    const sum = (Number(digit) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return Number(digits[10]) === (11 - product) % 10;
}

/** France: thirteen digits (2A and 2B in Corsica) and 97 less their remainder by 97. */
export function isNir(text: string): boolean {
  if (!/^[1-478]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{8}$/.test(text)) return false;
  const number = BigInt(text.slice(0, 13).replace("2A", "19").replace("2B", "18"));
  return Number(text.slice(13)) === 97 - Number(number % 97n);
}

/** The Netherlands: the eleven test. */
export function isBsn(digits: string): boolean {
  if (!/^\d{9}$/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  const weighted = [...digits].reduce((sum, digit, at) => sum + Number(digit) * (at === 8 ? -1 : 9 - at), 0);
  return weighted % 11 === 0;
}

/** Poland. */
export function isPesel(digits: string): boolean {
  if (!/^\d{11}$/.test(digits)) return false;
  const sum = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3].reduce((total, weight, at) => total + weight * Number(digits[at]), 0);
  return (10 - (sum % 10)) % 10 === Number(digits[10]);
}

/** Brazil. */
export function isCpf(digits: string): boolean {
  if (!/^\d{11}$/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  return [9, 10].every((length) => {
    const sum = [...digits.slice(0, length)].reduce((total, digit, at) => total + Number(digit) * (length + 1 - at), 0);
    return ((sum * 10) % 11) % 10 === Number(digits[length]);
  });
}

/** Switzerland: an EAN-13 that begins with 756. */
export function isAhv(digits: string): boolean {
  if (!/^756\d{10}$/.test(digits)) return false;
  const sum = [...digits].reduce((total, digit, at) => total + Number(digit) * (at % 2 === 0 ? 1 : 3), 0);
  return sum % 10 === 0;
}

/** Belgium: 97 less the remainder of nine digits by 97, with a 2 before them for those born since 2000. */
export function isBelgianNumber(digits: string): boolean {
  if (!/^\d{11}$/.test(digits)) return false;
  const check = Number(digits.slice(9));
  return ["", "2"].some((century) => check === 97 - Number(BigInt(century + digits.slice(0, 9)) % 97n));
}
