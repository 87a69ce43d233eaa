/**
 * The items of a source file (lines, rows, trace entries), each counted once: `items` is the sum of
 * the others. An item that is no valid event is told as one all the same, with its raw record, and
 * the store quarantines it; so none is lost here.
 */
export interface Account {
  readonly items: number;
  /** Told as an event, one or several. */
  readonly told: number;
  /** Read for what other items need: snapshots and changes of the page, images, what the browser logs. */
  readonly context: number;
  /** Says nothing that the item before it did not. */
  readonly duplicate: number;
}

/** Of a source every item of which is told. */
export function allTold(items: number): Account {
  return { items, told: items, context: 0, duplicate: 0 };
}
