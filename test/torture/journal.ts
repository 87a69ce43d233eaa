import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What somebody was promised is kept: a line for each event and each blob, appended when it was said. */
export class Journal implements Disposable {
  readonly path: string;
  readonly #file: number;

  constructor(directory: string) {
    this.path = join(directory, "acked");
    this.#file = openSync(this.path, "a");
  }

  event(stream: number, seq: number, sha256: string): void {
    writeSync(this.#file, `event ${stream} ${seq} ${sha256}\n`);
  }

  blob(sha256: string): void {
    writeSync(this.#file, `blob ${sha256}\n`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

export interface Promised {
  /** By stream: the hash promised at each seq. */
  readonly events: readonly ReadonlyMap<number, string>[];
  readonly blobs: ReadonlySet<string>;
}

export function readJournal(path: string, streams: number): Promised {
  const events = Array.from({ length: streams }, () => new Map<number, string>());
  const blobs = new Set<string>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [what, ...fields] = line.split(" ");
    if (what === "event") events[Number(fields[0])]?.set(Number(fields[1]), fields[2] ?? "");
    if (what === "blob") blobs.add(fields[0] ?? "");
  }
  return { events, blobs };
}
