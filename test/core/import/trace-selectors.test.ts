import { describe, expect, test } from "vitest";
import { readSelector } from "../../../src/core/import/trace/selectors.ts";
import { SelectorKind } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

const { CSS, XPATH, TEST_ID, ROLE, TEXT, ARIA, ID } = SelectorKind;

describe("a selector of Playwright", () => {
  test.each<[string, SelectorKind, string]>([
    ["#save", ID, "save"],
    ["css=#save", ID, "save"],
    ["id=save", ID, "save"],
    ["div > a.b", CSS, "div > a.b"],
    ["form >> input[name=q]", CSS, "form input[name=q]"],
    ['a[href=">>"]', CSS, 'a[href=">>"]'],
    ["//a[1]", XPATH, "//a[1]"],
    ["xpath=(//a)[1]", XPATH, "(//a)[1]"],
    ["internal:role=button", ROLE, "button"],
    ['internal:role=button[name="Save"s]', ROLE, 'button[name="Save"]'],
    ['internal:role=button[name="save"i]', ROLE, 'button[name="save"i]'],
    ['internal:testid=[data-testid="save"s]', TEST_ID, "save"],
    ["data-testid=save", TEST_ID, "save"],
    ["text=Save", TEXT, "Save"],
    ['"Save"', TEXT, "Save"],
    ["text='Save'", TEXT, "Save"],
    ['internal:text="Save \\"all\\""i', TEXT, 'Save "all"'],
    ['internal:label="E-mail"s', ARIA, "E-mail"],
    ['internal:attr=[placeholder="Na\\"me"s]', CSS, '[placeholder="Na\\"me"]'],
    ['internal:attr=[placeholder="name"i]', CSS, '[placeholder*="name" i]'],
    ["#\ud800", CSS, "#\uFFFD"],
  ])("%s is one of ours", (selector, kind, value) => {
    expect(readSelector(selector, "data-testid")).toEqual({ kind, value });
  });

  test.each([
    "#a:visible",
    "#a >> nth=0",
    "a:has-text('x')",
    "a, b >> c",
    "internal:control=enter-frame",
    "iframe >> internal:control=enter-frame >> #a",
    "internal:role=button[name=/save/i]",
    'internal:label="mail"i',
    "text=/save/i",
    "internal:text=/save/i",
    "_react=Button",
    "aria-ref=e12",
    "visible=true",
    "",
  ])("%s would find something else in any of ours", (selector) => {
    expect(readSelector(selector, "data-testid")).toBeUndefined();
  });
});
