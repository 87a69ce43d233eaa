// Listens to what happens in the page and hands each event, as a sluice.v1.Event in proto3 JSON,
// to the collector's binding. Runs before the page's own scripts, in every document.
(() => {
  const { target, state, page, elementsInView, readValue, isSecret, round } = globalThis.sluiceDescribe;
  const VERSION = "sluice-demo-recorder/1";
  const TYPING_PAUSE_MS = 600;
  const SCROLL_PAUSE_MS = 160;
  const HOVER_REST_MS = 180;
  const DRAG_PX = 6;
  const FIELD = "input, select, textarea";
  const TOGGLE = "[type=checkbox], [type=radio]";
  const INTERACTIVE = "a[href], button, input, select, textarea, summary, label, [role=button]";

  /** Events whose state after is not known yet, in the order they happened. */
  const waiting = [];

  let latest = 0;

  /** `fields.before` says what the target was before, where its state now is not that. */
  function record(type, at, fields, element, dom) {
    // What is put together from many DOM events is told late: a stream's times never go back.
    latest = Math.max(latest, at);
    const event = {
      timeMs: String(Math.round(performance.timeOrigin + latest)),
      type: `EVENT_TYPE_${type}`,
      page: page(),
      ...fields,
    };
    if (element)
      Object.assign(event, { target: target(element), before: "before" in fields ? fields.before : state(element) });
    if (!/^(FOCUS|BLUR)$/.test(type)) event.elements = elementsInView();
    waiting.push({ event, element, raw: { recorder: VERSION, dom } });
    setTimeout(flush, 0);
  }

  /** Takes the state after and hands over all that waits; in order, and before the page goes away. */
  function flush() {
    for (const { event, element, raw } of waiting.splice(0)) {
      if (element) event.after = state(element);
      event.rawJson = JSON.stringify(raw);
      globalThis.sluiceCollect(JSON.stringify(event));
    }
  }

  const domOf = (event, more) => ({
    type: event.type,
    trusted: event.isTrusted,
    timeStamp: round(event.timeStamp),
    ...more,
  });
  /** The control that an event happened to, rather than the drawing or the text inside it. */
  const elementOf = (event) => {
    const element = event.target instanceof Element ? event.target : document.body;
    return element.closest(INTERACTIVE) ?? element;
  };
  const on = (type, listener, where = window) =>
    where.addEventListener(type, listener, { capture: true, passive: true });

  // Typing: one event for each run of keystrokes in a field.
  const known = new WeakMap();
  let typing;

  function flushTyping() {
    // While a slider is dragged, its value is not final.
    if (!typing || typing.element === pressed?.element) return;
    const { element, at, before, dom } = typing;
    clearTimeout(typing.timer);
    typing = undefined;
    known.set(element, state(element));
    const masked = isSecret(element) && element.value !== "";
    record("INPUT", at, { input: { value: readValue(element), masked, kind: element.type }, before }, element, dom);
  }

  on("input", (event) => {
    const element = elementOf(event);
    if (element.matches(`select, ${TOGGLE}`)) return;
    if (typing && typing.element !== element) flushTyping();
    clearTimeout(typing?.timer);
    const before = typing?.before ?? known.get(element);
    const keystrokes = (typing?.dom.keystrokes ?? 0) + 1;
    typing = {
      element,
      at: event.timeStamp,
      before,
      dom: domOf(event, { inputType: event.inputType, keystrokes }),
      timer: setTimeout(flushTyping, TYPING_PAUSE_MS),
    };
  });

  on("change", (event) => {
    flushTyping();
    const element = elementOf(event);
    if (!element.matches(`select, ${TOGGLE}`)) return;
    const value =
      element.tagName === "SELECT"
        ? element.value
        : element.type === "checkbox"
          ? String(element.checked)
          : element.value;
    const option = element.selectedOptions?.[0]?.text;
    const before = known.get(element);
    known.set(element, state(element));
    record(
      "INPUT",
      event.timeStamp,
      { input: { value, kind: element.tagName === "SELECT" ? "select" : element.type }, before },
      element,
      domOf(event, { option }),
    );
  });

  // Pointer: clicks, drags and where it rests.
  let pressed;
  let released;
  let dragged = false;
  let clickedAt = -1;
  let resting;

  const pointerOf = (event) => ({
    x: round(event.clientX),
    y: round(event.clientY),
    button: Math.max(0, event.button),
  });

  on("pointerdown", (event) => {
    flushTyping();
    flushScroll();
    clearTimeout(resting);
    const element = elementOf(event);
    pressed = { element, pointer: pointerOf(event), before: state(element) };
    const field = element.closest("label")?.control ?? element;
    if (field.matches(FIELD)) known.set(field, state(field));
  });

  on("pointerup", (event) => {
    if (!pressed) return;
    const { element, pointer, before } = pressed;
    released = pressed;
    pressed = undefined;
    dragged = Math.hypot(event.clientX - pointer.x, event.clientY - pointer.y) > DRAG_PX;
    if (!dragged) return;
    record(
      "DRAG",
      event.timeStamp,
      { pointer: { ...pointer, toX: round(event.clientX), toY: round(event.clientY) }, before },
      element,
      domOf(event),
    );
    flushTyping();
  });

  on("click", (event) => {
    const before = released?.before;
    released = undefined;
    if (dragged) {
      dragged = false;
      return;
    }
    // Enter in a form, and a click on a label, make the browser click elsewhere; nobody clicked there.
    if (event.detail === 0 || event.timeStamp === clickedAt) return;
    clickedAt = event.timeStamp;
    flushTyping();
    const dom = domOf(event, {
      path: event
        .composedPath()
        .slice(0, 6)
        .map((e) => e.localName ?? ""),
    });
    record(
      "CLICK",
      event.timeStamp,
      { pointer: { ...pointerOf(event), clicks: event.detail }, ...(before && { before }) },
      elementOf(event),
      dom,
    );
  });

  let hovered;
  on("pointermove", (event) => {
    clearTimeout(resting);
    const element = elementOf(event);
    if (!element.matches(INTERACTIVE) || element === hovered || event.buttons !== 0) return;
    resting = setTimeout(() => {
      hovered = element;
      flushTyping();
      flushScroll();
      record("HOVER", performance.now(), { pointer: pointerOf(event) }, element, domOf(event));
    }, HOVER_REST_MS);
  });

  // Scroll: one event for each movement that comes to rest.
  let scrolling;
  let place = { x: 0, y: 0 };

  function flushScroll() {
    if (!scrolling) return;
    const { at, pointer, dom } = scrolling;
    clearTimeout(scrolling.timer);
    scrolling = undefined;
    const delta = { deltaX: round(scrollX - place.x), deltaY: round(scrollY - place.y) };
    place = { x: scrollX, y: scrollY };
    if (delta.deltaX !== 0 || delta.deltaY !== 0)
      record("SCROLL", at, { pointer: { ...pointer, ...delta } }, document.documentElement, dom);
  }

  let lastPointer = { x: 0, y: 0 };
  on("pointermove", (event) => {
    lastPointer = { x: round(event.clientX), y: round(event.clientY) };
  });
  on("scroll", (event) => {
    clearTimeout(scrolling?.timer);
    scrolling = {
      at: event.timeStamp,
      pointer: lastPointer,
      dom: domOf(event),
      timer: setTimeout(flushScroll, SCROLL_PAUSE_MS),
    };
  });

  // Keys that are not text, and shortcuts. What is typed is told by INPUT, which masks.
  on("keydown", (event) => {
    if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) return;
    if (/^(Shift|Control|Alt|Meta)$/.test(event.key)) return;
    flushTyping();
    flushScroll();
    const key = {
      key: event.key,
      code: event.code,
      alt: event.altKey,
      ctrl: event.ctrlKey,
      meta: event.metaKey,
      shift: event.shiftKey,
    };
    record("KEY", event.timeStamp, { key }, elementOf(event), domOf(event));
  });

  on("focusin", (event) => {
    const element = elementOf(event);
    if (!element.matches(FIELD) || element.matches(TOGGLE)) return;
    known.set(element, state(element));
    record("FOCUS", event.timeStamp, {}, element, domOf(event));
  });
  on("focusout", (event) => {
    flushTyping();
    const element = elementOf(event);
    if (element.matches(FIELD) && !element.matches(TOGGLE)) record("BLUR", event.timeStamp, {}, element, domOf(event));
  });

  on("submit", (event) => {
    flushTyping();
    record("SUBMIT", event.timeStamp, {}, elementOf(event), domOf(event, { submitter: event.submitter?.localName }));
  });

  on("copy", (event) => {
    const text = String(document.getSelection()).slice(0, 200);
    record("CUSTOM", event.timeStamp, { customType: "copy" }, elementOf(event), domOf(event, { text }));
  });

  // The page itself.
  const navigated = (kind, at) => record("NAVIGATION", at, {}, undefined, { type: kind, referrer: document.referrer });
  on("DOMContentLoaded", () => {
    // Module scripts have run by then, so that the title is the page's own.
    const [entry] = performance.getEntriesByType("navigation");
    navigated(entry?.type ?? "navigate", performance.now());
  });
  on("hashchange", (event) => navigated("hashchange", event.timeStamp));
  on("pagehide", () => {
    pressed = undefined;
    flushTyping();
    flushScroll();
    flush();
  });
})();
