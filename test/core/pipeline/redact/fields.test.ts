import { expect, test } from "vitest";
import type { RedactionKind } from "../../../../src/core/pipeline/recorded.ts";
import { type FieldFacts, kindOfField, kindOfName } from "../../../../src/core/pipeline/redact/field.ts";

const FIELDS: readonly (readonly [RedactionKind | undefined, Partial<FieldFacts>])[] = [
  ["email", { autocomplete: "section-a billing email" }],
  ["person", { autocomplete: "shipping given-name" }],
  ["card", { autocomplete: "cc-number" }],
  ["secret", { autocomplete: "cc-csc" }],
  ["date_of_birth", { autocomplete: "bday-day" }],
  [undefined, { autocomplete: "organization", names: ["name"] }],
  [undefined, { autocomplete: "country", names: ["address_country"] }],
  ["address", { autocomplete: "off", names: ["zip"] }],
  ["secret", { type: "password", names: ["email"] }],
  ["phone", { type: "tel" }],
  [undefined, { type: "checkbox", names: ["email"] }],
  [undefined, { type: "search", labels: ["Search by name or city"] }],
  ["person", { names: ["billing[first_name]"] }],
  ["person", { names: ["lastName"] }],
  ["person", { labels: ["Name"] }],
  ["person", { labels: ["Nombre completo"] }],
  ["person", { labels: ["Name on card"] }],
  ["person", { labels: ["Nachname"] }],
  [undefined, { labels: ["Company name"] }],
  [undefined, { labels: ["Name of the list"], names: ["listName"] }],
  ["email", { labels: ["Email address"] }],
  ["email", { labels: ["E-Mail-Adresse"] }],
  ["phone", { labels: ["Mobile number"] }],
  ["address", { labels: ["Street address"] }],
  ["address", { labels: ["Straße"] }],
  ["address", { names: ["addressLine1"] }],
  ["address", { labels: ["PIN code"] }],
  ["secret", { labels: ["PIN"] }],
  ["secret", { labels: ["Verification code"] }],
  ["secret", { names: ["cvv"] }],
  [undefined, { labels: ["Promo code"] }],
  [undefined, { labels: ["Country code"] }],
  ["national_id", { labels: ["Social security number"] }],
  ["national_id", { labels: ["Codice fiscale"] }],
  ["date_of_birth", { labels: ["Date of birth"] }],
  ["iban", { labels: ["IBAN"] }],
  ["card", { labels: ["Card number"] }],
  ["card", { labels: ["Expiry date"] }],
  ["ip", { labels: ["IP address"] }],
  [undefined, { labels: ["Web address"] }],
  [undefined, { labels: ["Quantity"] }],
  [undefined, { labels: ["What do you need help with?"] }],
  [undefined, { labels: ["Store name"] }],
];

test.each(FIELDS)("a field is for %s: %j", (kind, facts) => {
  expect(kindOfField({ autocomplete: "", type: "", names: [], labels: [], ...facts })).toBe(kind);
});

test("a parameter called name is as often a product's", () => {
  expect(kindOfName("name")).toBeUndefined();
  expect(kindOfName("first_name")).toBe("person");
});
