/**
 * Indices of the longest subsequence that never falls; of several, the one that keeps the earlier
 * values. O(n log n), by patience sorting from the end.
 */
export function nondecreasing(values: readonly number[]): number[] {
  /** At n: where the best subsequence of n + 1 values begins, so far. The values there fall as n grows. */
  const starts: number[] = [];
  const next: (number | undefined)[] = [];
  const valueAt = (index: number | undefined) => (index === undefined ? 0 : (values[index] ?? 0));
  for (let index = values.length - 1; index >= 0; index -= 1) {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (valueAt(starts[middle]) >= valueAt(index)) low = middle + 1;
      else high = middle;
    }
    next[index] = low === 0 ? undefined : starts[low - 1];
    starts[low] = index;
  }
  const found: number[] = [];
  for (let at = starts.at(-1); at !== undefined; at = next[at]) found.push(at);
  return found;
}
