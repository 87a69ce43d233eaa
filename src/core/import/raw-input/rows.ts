import { isObject, type JsonObject, number } from "../lenient.ts";
import { type Line, readLines } from "../lines.ts";

/** A row of a file beside the events: a tree of elements, the window in front. */
export interface Row {
  /** Exactly as it is in the file; undefined when it is longer than an event may take with it. */
  readonly json: string | undefined;
  /** undefined when it can't be read. */
  readonly value: JsonObject | undefined;
  /** Seconds of the recorder's clock; of a row that says none, those of the row before. */
  readonly time: number;
}

/**
 * The rows of one file as events come by. Threads write them, so that they stand in the order of
 * their times but for neighbours.
 */
export class Rows implements AsyncDisposable {
  readonly #lines: AsyncGenerator<Line, void>;
  readonly #waiting: Row[] = [];
  #time = Number.NEGATIVE_INFINITY;
  #ended = false;

  constructor(path: string, signal: AbortSignal) {
    this.#lines = readLines(path, MAX_LINE_BYTES, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.return(undefined);
  }

  /** Those until then that were not taken before. */
  async *until(time: number): AsyncGenerator<Row, void> {
    for (let rows = [...this.#waiting]; rows.length > 0 || !this.#ended; ) {
      await this.#readPast(time);
      rows = this.#take((row) => row.time <= time);
      if (rows.length === 0) return;
      yield* rows;
    }
  }

  /**
   * The one that was written for what happened then: the nearest within a second, which is longer than
   * a busy machine takes. `rows` are those that belong to nothing that comes later, that one among them.
   */
  async at(time: number): Promise<{ readonly own: Row | undefined; readonly rows: readonly Row[] }> {
    await this.#readPast(time + NEAR_S);
    const away = (row: Row): number => Math.abs(row.time - time);
    const near = this.#waiting.filter((row) => away(row) <= NEAR_S).toSorted((a, b) => away(a) - away(b));
    const own = near[0];
    return { own, rows: this.#take((row) => row === own || row.time < time - NEAR_S) };
  }

  #take(isTaken: (row: Row) => boolean): Row[] {
    const taken = this.#waiting.filter(isTaken);
    const left = this.#waiting.filter((row) => !isTaken(row));
    this.#waiting.splice(0, this.#waiting.length, ...left);
    return taken;
  }

  /** Reads until one is later: those that may still be earlier stand right before it. */
  async #readPast(time: number): Promise<void> {
    while (!this.#ended && this.#time <= time && this.#waiting.length < MAX_WAITING) {
      const { value: line } = await this.#lines.next();
      if (line === undefined) this.#ended = true;
      else this.#note(line.text().trim());
    }
  }

  #note(json: string): void {
    if (json === "") return;
    const value = parse(json);
    this.#time = number(value?.time_stamp) ?? this.#time;
    const isLong = json.length > MAX_ROW_CHARACTERS;
    this.#waiting.push({ json: isLong ? undefined : json, value: isLong ? undefined : value, time: this.#time });
  }
}

/** undefined for what is no JSON object. */
export function parse(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const NEAR_S = 1;
/** A page with all that is in it; what is longer than `MAX_ROW_CHARACTERS` is dropped as soon as it is read. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const MAX_ROW_CHARACTERS = 512 * 1024;
/** At most that many times `MAX_ROW_CHARACTERS` are held. */
const MAX_WAITING = 64;
