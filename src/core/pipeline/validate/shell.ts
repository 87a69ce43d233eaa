import type { SessionEvent } from "../recorded.ts";

/**
 * What an event says beyond its type and its time. A custom type's name says something, and so does
 * where a navigation led; for any other event a page alone is little, but it is kept.
 */
export function substanceOf(event: SessionEvent): "full" | "only page" | "nothing" {
  const { type, customType, page, target, input, pointer, key, before, after, screenshots, elements } = event;
  const parts = [customType, target, input, pointer, key, before, after, elements];
  if (screenshots.length > 0 || parts.some((part) => part !== undefined)) return "full";
  if (page === undefined) return "nothing";
  return type === "navigation" ? "full" : "only page";
}
