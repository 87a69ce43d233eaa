import type { RedactionKind, RedactionReport } from "../recorded.ts";
import type { PersonalValue } from "./vault.ts";

/** Tells of values replaced at a place of an event, such as target.text. */
export type Tell = (place: string, values: readonly PersonalValue[]) => void;

/** Counts what was replaced where. */
export class Places {
  readonly #counts = new Map<string, Map<RedactionKind, number>>();

  readonly tell: Tell = (place, values) => {
    const kinds = this.#counts.get(place) ?? new Map<RedactionKind, number>();
    this.#counts.set(place, kinds);
    for (const { kind } of values) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  };

  /** In the order of places and kinds. */
  counts(): RedactionReport["places"] {
    const all = [...this.#counts].flatMap(([place, kinds]) =>
      Array.from(kinds, ([kind, count]) => ({ place, kind, count })),
    );
    return all.sort((a, b) => compare(a.place, b.place) || compare(a.kind, b.kind));
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
