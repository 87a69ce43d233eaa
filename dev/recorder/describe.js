// What a collector can tell about an element, in the shape of sluice.v1 messages in proto3 JSON.
// Runs in the page before its own scripts; listen.js uses it.
(() => {
  const MASK = "••••••••";
  const TEXT_LIMIT = 200;
  const ELEMENT_LIMIT = 100;

  /** Whether what is typed there is nobody's business: it is replaced before it leaves the page. */
  function isSecret(element) {
    const autocomplete = (element.getAttribute?.("autocomplete") ?? "").toLowerCase();
    return (
      element.type === "password" ||
      /(^| )(cc-(number|csc|exp)|(new|current)-password|one-time-code)/.test(autocomplete)
    );
  }

  function readValue(element) {
    if (!("value" in element) || element.tagName === "LI") return "";
    if (element.type === "checkbox" || element.type === "radio") return element.value;
    if (element.value === "") return "";
    return isSecret(element) ? MASK : String(element.value);
  }

  const clip = (text, limit = TEXT_LIMIT) => text.replace(/\s+/g, " ").trim().slice(0, limit);
  const textOf = (element) =>
    // biome-ignore lint/performance/useDomNodeTextContent: only what can be seen counts as text
    clip(/^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) ? "" : (element.innerText ?? element.textContent ?? ""));

  const ROLES = {
    A: (e) => (e.hasAttribute("href") ? "link" : ""),
    ARTICLE: () => "article",
    ASIDE: () => "complementary",
    BUTTON: () => "button",
    DETAILS: () => "group",
    FIELDSET: () => "group",
    FOOTER: () => "contentinfo",
    FORM: () => "form",
    H1: () => "heading",
    H2: () => "heading",
    H3: () => "heading",
    HEADER: () => "banner",
    IMG: (e) => (e.alt === "" ? "presentation" : "img"),
    INPUT: (e) => INPUT_ROLES[e.type] ?? "textbox",
    LI: () => "listitem",
    MAIN: () => "main",
    NAV: () => "navigation",
    OL: () => "list",
    OPTION: () => "option",
    SECTION: (e) => (e.hasAttribute("aria-label") || e.hasAttribute("aria-labelledby") ? "region" : ""),
    SELECT: () => "combobox",
    SUMMARY: () => "button",
    TABLE: () => "table",
    TD: () => "cell",
    TH: (e) => (e.scope === "row" ? "rowheader" : "columnheader"),
    TR: () => "row",
    UL: () => "list",
  };
  const INPUT_ROLES = {
    checkbox: "checkbox",
    radio: "radio",
    range: "slider",
    number: "spinbutton",
    search: "searchbox",
    submit: "button",
    reset: "button",
  };
  const NAMED_BY_CONTENT = new Set([
    "link",
    "button",
    "heading",
    "cell",
    "rowheader",
    "columnheader",
    "option",
    "listitem",
  ]);

  const roleOf = (element) => element.getAttribute("role") ?? ROLES[element.tagName]?.(element) ?? "";

  /** The accessible name, by the steps of accname that this kind of page needs. */
  function nameOf(element) {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
    const byId = labelled.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    const labels = [...(element.labels ?? [])].map(labelText).join(" ");
    const legend = element.tagName === "FIELDSET" ? (element.querySelector("legend")?.textContent ?? "") : "";
    const content = NAMED_BY_CONTENT.has(roleOf(element)) ? textOf(element) : "";
    const rest =
      element.getAttribute("alt") ?? element.getAttribute("placeholder") ?? element.getAttribute("title") ?? "";
    return clip(byId || element.getAttribute("aria-label") || labels || legend || content || rest, 120);
  }

  /** A label's text without that of the field inside it. */
  function labelText(label) {
    const copy = label.cloneNode(true);
    for (const field of copy.querySelectorAll("input, select, textarea, output")) field.remove();
    return copy.textContent;
  }

  function attributesOf(element) {
    return [...element.attributes]
      .filter(({ name }) => name !== "style" && !(name === "value" && isSecret(element)))
      .map(({ name, value }) => ({ name, value: value.slice(0, TEXT_LIMIT) }));
  }

  function boxOf(element) {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x: round(x), y: round(y), width: round(width), height: round(height) };
  }

  const round = (value) => Math.round(value * 100) / 100;

  function ancestorsOf(element) {
    const found = [];
    for (
      let parent = element.parentElement;
      parent && parent !== document.documentElement;
      parent = parent.parentElement
    ) {
      const role = roleOf(parent);
      const attributes = attributesOf(parent).filter(({ name }) => /^(id|class|name|data-|role$)/.test(name));
      found.push({
        tag: parent.tagName.toLowerCase(),
        role,
        name: NAMED_BY_CONTENT.has(role) ? "" : nameOf(parent),
        attributes,
      });
    }
    return found;
  }

  /** Ways to find the element again, best first. One that finds others too is worth less. */
  function selectorsOf(element) {
    const candidates = [];
    const add = (kind, value, reliability, count) => {
      if (value && count > 0)
        candidates.push({ kind: `SELECTOR_KIND_${kind}`, value, reliability: round(reliability / count) });
    };
    const testId = element.getAttribute("data-testid");
    if (testId) add("TEST_ID", testId, 0.98, count(`[data-testid="${CSS.escape(testId)}"]`));
    if (element.id) add("ID", element.id, 0.95, count(`#${CSS.escape(element.id)}`));
    const role = roleOf(element);
    const name = nameOf(element);
    if (role && name) add("ROLE", `${role}[name=${JSON.stringify(name)}]`, 0.9, sameRoleAndName(element, role, name));
    const aria = element.getAttribute("aria-label");
    if (aria) add("ARIA", aria, 0.85, count(`[aria-label="${CSS.escape(aria)}"]`));
    const css = cssPath(element);
    add("CSS", css, 0.75, count(css));
    const text = textOf(element);
    if (text && text.length <= 60) add("TEXT", text, 0.6, sameText(element, text));
    add("XPATH", xpath(element), 0.4, 1);
    return candidates.sort((a, b) => b.reliability - a.reliability);
  }

  const count = (selector) => document.querySelectorAll(selector).length;
  const sameRoleAndName = (element, role, name) =>
    [...document.querySelectorAll(element.tagName)].filter((e) => roleOf(e) === role && nameOf(e) === name).length;
  const sameText = (element, text) =>
    [...document.querySelectorAll(element.tagName)].filter((e) => textOf(e) === text).length;

  /** The shortest path of tags, from the nearest ancestor with an id, that finds the element. */
  function cssPath(element) {
    if (element === document.documentElement) return "html";
    const parts = [];
    for (let at = element; at && at !== document.documentElement; at = at.parentElement) {
      if (at.id) {
        parts.unshift(`#${CSS.escape(at.id)}`);
        break;
      }
      const twins = [...(at.parentElement?.children ?? [])].filter((e) => e.tagName === at.tagName);
      const tag = at.tagName.toLowerCase();
      parts.unshift(twins.length > 1 ? `${tag}:nth-of-type(${twins.indexOf(at) + 1})` : tag);
    }
    return parts.join(" > ");
  }

  function xpath(element) {
    const parts = [];
    for (let at = element; at; at = at.parentElement) {
      const twins = [...(at.parentElement?.children ?? [])].filter((e) => e.tagName === at.tagName);
      parts.unshift(`${at.tagName.toLowerCase()}${twins.length > 1 ? `[${twins.indexOf(at) + 1}]` : ""}`);
    }
    return `/${parts.join("/")}`;
  }

  function target(element) {
    return {
      selectors: selectorsOf(element),
      role: roleOf(element),
      name: nameOf(element),
      text: textOf(element),
      tag: element.tagName.toLowerCase(),
      attributes: attributesOf(element),
      box: boxOf(element),
      ancestors: ancestorsOf(element),
    };
  }

  function state(element) {
    const details = element.tagName === "SUMMARY" ? element.parentElement : element;
    return {
      url: location.href,
      value: readValue(element),
      checked: element.checked === true,
      focused: document.activeElement === element,
      disabled: element.disabled === true,
      visible: element.checkVisibility({ visibilityProperty: true }),
      expanded: element.getAttribute("aria-expanded") === "true" || details.open === true,
      selected: element.selected === true || element.getAttribute("aria-selected") === "true",
      text: textOf(element),
    };
  }

  function page() {
    return {
      url: location.href,
      title: document.title,
      viewportWidth: innerWidth,
      viewportHeight: innerHeight,
      devicePixelRatio,
      scrollX: round(scrollX),
      scrollY: round(scrollY),
    };
  }

  /** What else is in view: controls, with what fields hold, and what of the page is text. */
  function elementsInView() {
    const controls = [
      ...document.querySelectorAll("a[href], button, input, select, textarea, summary, [role=button], [tabindex='0']"),
    ];
    const texts = textElements().filter((element) => !controls.some((control) => control.contains(element)));
    return [...controls, ...texts]
      .map((element) => ({ element, box: boxOf(element) }))
      .filter(({ element, box }) => isInView(box) && element.checkVisibility({ visibilityProperty: true }))
      .slice(0, ELEMENT_LIMIT)
      .map(({ element, box }) => summary(element, box));
  }

  function isInView({ x, y, width, height }) {
    return width > 1 && height > 1 && x + width > 0 && y + height > 0 && x < innerWidth && y < innerHeight;
  }

  /** The elements that hold text themselves, not by way of others. */
  function textElements() {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.data.trim() !== "") found.add(node.parentElement);
    }
    return [...found].filter((element) => !element.matches("script, style, option, template"));
  }

  const TELLING = /^(id|name|type|autocomplete|placeholder|aria-label|data-testid)$/;

  /** What there is to say, without what there is not. */
  function summary(element, box) {
    const said = {
      tag: element.tagName.toLowerCase(),
      role: roleOf(element),
      name: nameOf(element),
      text: textOf(element),
      value: element.matches("input, select, textarea") ? readValue(element) : "",
    };
    if (said.name === said.text) delete said.name;
    const attributes = attributesOf(element).filter(({ name }) => TELLING.test(name));
    return {
      ...Object.fromEntries(Object.entries(said).filter(([, value]) => value)),
      ...(attributes.length > 0 && { attributes }),
      box,
    };
  }

  globalThis.sluiceDescribe = { target, state, page, elementsInView, readValue, isSecret, round };
})();
