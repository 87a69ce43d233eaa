import { SelectorKind } from "../../wire/gen/sluice/v1/event_pb.ts";

/**
 * The selectors of a step of a Chrome DevTools recording, best first as the Recorder lists them. It
 * gives no number of how good one is. Those that lead through frames or shadow roots have no
 * language of ours: they are only in the step's raw record.
 */
export function selectorsOf(selectors: unknown) {
  if (!Array.isArray(selectors)) return [];
  return selectors.flatMap((one: unknown) => {
    const [selector, ...inner] = Array.isArray(one) ? one : [one];
    return inner.length === 0 && typeof selector === "string" ? readSelector(selector.toWellFormed()) : [];
  });
}

function readSelector(selector: string): { readonly kind: SelectorKind; readonly value: string }[] {
  const [, language, value = ""] = /^(aria|xpath|text|pierce)\/(.*)$/s.exec(selector) ?? [];
  switch (language) {
    case "aria":
      return [ariaSelector(value)];
    case "xpath":
      return [{ kind: SelectorKind.XPATH, value }];
    case "text":
      return [{ kind: SelectorKind.TEXT, value }];
    case "pierce":
      return [];
    default: {
      const [, id] = /^#([\w-]+)$/.exec(selector) ?? [];
      if (id !== undefined) return [{ kind: SelectorKind.ID, value: id }];
      // Deep combinators are the replaying library's own.
      return selector.includes(">>>") || selector === "" ? [] : [{ kind: SelectorKind.CSS, value: selector }];
    }
  }
}

/** `Name`, or `Name[role="button"]`. */
function ariaSelector(value: string) {
  const [, name, role] = /^(.*)\[role="([\w-]+)"\]$/s.exec(value) ?? [];
  if (role === undefined || name === undefined) return { kind: SelectorKind.ARIA, value };
  return { kind: SelectorKind.ROLE, value: name === "" ? role : `${role}[name=${JSON.stringify(name)}]` };
}
