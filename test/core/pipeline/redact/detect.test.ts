import { describe, expect, test } from "vitest";
import type { RedactionKind } from "../../../../src/core/pipeline/recorded.ts";
import { detect } from "../../../../src/core/pipeline/redact/detect.ts";

/** What stands between ‹ and › is a value of the kind; what has none has none. */
const TEXTS: readonly (readonly [RedactionKind, string])[] = [
  ["email", "Write to ‹dana.whitlock+a@mail.example.co.uk›."],
  ["email", "mailto:‹dana@example.com›?subject=hi"],
  ["email", "Mail us at ‹jürgen@müller.example›.Thanks"],
  ["email", "an @ alone, a@b, @dana, dana@localhost and x@y.1 are no addresses"],

  ["phone", "‹+44 20 7946 0018›"],
  ["phone", "Call ‹(555) 010-4477›, or ‹555.010.4477 x12›"],
  ["phone", "Tel: ‹+49 (0)30 901820› · Fax ‹030/901820-99›"],
  ["phone", "You can reach me at ‹785 8949› today"],
  ["phone", "‹2813882583› mobile"],
  ["phone", "Sizes 36 38 40 42, 1 234 567 items, 2024-10-11, 10.5 in, $1,299.00, 4.5 of 5 (1,204 reviews)"],
  ["phone", "Order 100-2847561 of 12/11/2023, item 4006381333931, version 10.15.7, ISBN 978-3-16-148410-0"],

  ["card", "Pay with ‹4111 1111 1111 1111› or ‹378282246310005›, exp 12/27"],
  ["card", "‹5555-5555-5555-4444› ‹6011111111111117›"],
  ["card", "4111 1111 1111 1112 fails its check, 1234567812345670 is nobody's range, 0000000000000000 is nothing"],

  ["iban", "IBAN ‹DE89 3704 0044 0532 0130 00› BIC COBADEFF"],
  ["iban", "‹gb29nwbk60161331926819› and ‹FR1420041010050500013M02606› follow one another"],
  ["iban", "GB29 NWBK 6016 1331 9268 18 fails its check; AB12 3456 7890 1234 is no country"],

  ["ip", "from ‹203.0.113.77› and ‹2001:db8::8a2e:370:7334› by ‹::ffff:203.0.113.10›"],
  ["ip", "Chrome/138.0.0.0, version 1.2.3.4, 127.0.0.1, 0.0.0.0, 1.2.3.4.5, 300.1.1.1, 12:34:56, a::before, ::1"],

  ["national_id", "SSN ‹078-05-1120›, DNI ‹12345678Z›, NIE ‹X1234567L›, CF ‹RSSMRA85T10A562S›"],
  ["national_id", "NINO ‹AB 12 34 56 C›, NIR ‹1 84 12 76 451 089 46›, CPF ‹111.444.777-35›, AHV ‹756.9217.0769.85›"],
  ["national_id", "Steuer-ID ‹86 095 742 719›, BSN ‹111222333›, PESEL ‹44051401359›, ‹811228-9874›, ‹85.07.30-033.28›"],
  ["national_id", "Passport no. ‹XG9382049›, driver's license: ‹D245-938-19-203›"],
  ["national_id", "000-12-3456, 12345678A, RSSMRA85T10A562T, 86 095 742 719, 111222333, 44051401359, 811228-9875"],

  ["person", "Hello, ‹Dana›! Welcome back, ‹Dana Whitlock›. Signed in as ‹Dana Whitlock›"],
  ["person", "Dear Mr. ‹Whitlock›, Full name: ‹Dana Whitlock›"],
  ["person", "Hello there. Hi Everyone! Welcome to the shop. Dear Customer, Dr. Martens boots, Name: Stool"],

  ["address", "Ship to: ‹1418 Alder Crest Ln, Tacoma WA 98402› (change)"],
  ["address", "‹12 Harbour Lane, Flat 3, Whitby, YO21 3PU› or ‹221B Baker Street\nLondon\nNW1 6XE›"],
  [
    "address",
    "‹Lindenstraße 12, 10969 Berlin› · ‹8 rue de la Paix, 75002 Paris› · ‹Keizersgracht 123, 1015 CJ Amsterdam›",
  ],
  ["address", "The house on 92nd Street, 5 Way Tap, 12 Monkeys, Route 66, Model 3 Road bike, Paris 75002"],

  ["date_of_birth", "Date of birth: ‹05/06/1987›, born on ‹5 June 1987›"],
  ["date_of_birth", "Ordered on 05/06/2024, born to be wild"],

  ["secret", "https://shop.example.com/?gclid=‹Cj0KCQjw›&utm_source=mail&page=2"],
  ["secret", "/cart;jsessionid=‹0A1B2C3D4E5F›?step=2&sid=‹abc123def›"],
  ["secret", "?next=/account&state=‹Zk3v9QmX7tB2nL5wR8yP›&colour=dark-oak-2024-natural-finish"],
  ["secret", "Authorization: Bearer ‹mF_9.B5f-4.1JqM9aXv2›"],
  ["secret", "postgres://‹app:hunter2›@db.example.com/orders DB_PASSWORD=‹hunter2!›"],
  [
    "secret",
    "the password 'its a secret' is quoted, the password of Tuesday is not".replace("its a secret", "‹its a secret›"),
  ],
  ["secret", "A token of thanks. Basic training. Password: required. Reset your password to sign in."],
];

describe("a text gives away by itself", () => {
  test.each(TEXTS)("%s: %s", (kind, marked) => {
    const text = marked.replaceAll(/[‹›]/g, "");
    const found = detect(text).filter((each) => each.kind === kind);
    let shown = text;
    for (const { start, end } of found.toReversed()) {
      shown = `${shown.slice(0, start)}‹${shown.slice(start, end)}›${shown.slice(end)}`;
    }
    expect(shown).toBe(marked);
  });

  // A pattern that backtracks would not be done with these before the machine is.
  test.each(
    "@|a@|a@b.|1 |1-|+1 |(1) |eyJ-|password=|password |://a:b|AB12 |GB29NWBK|?a=b&|/reset/a|Mr. A|Hello, A|4111 |12:|::|1.1.1.|-----BEGIN PRIVATE KEY-----|name: A A|bearer a1|sk-|ghp_|SG.a|call 1|ssn |passport 1|a-|1 A St |1 A B C D E |Astraße 1, |1 rue de |A|\n".split(
      "|",
    ),
  )("megabytes of %j are read to the end", (unit) => {
    const text = unit.repeat(Math.ceil(500_000 / unit.length));
    expect(detect(`${text} jane.doe@example.com`).at(-1)?.end).toBe(text.length + 21);
  });
});
