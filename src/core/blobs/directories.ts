import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fsyncDirectory } from "../durable-directory.ts";

/** Directories known to be on disk at most; more are only slower. */
const MAX_KNOWN = 4096;

/**
 * Makes names durable: a file's name is on disk once its directory is fsynced, and a directory's
 * once its parent is.
 */
export class Directories {
  readonly #known = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  /**
   * Creates the directory if it is absent. When this resolves it is on disk with every name it
   * had: also those a killed process put there and did not live to fsync. Its parent must exist.
   */
  ensure(dir: string): Promise<void> {
    const known = this.#known.get(dir);
    this.#known.delete(dir);
    const ensured = known ?? this.#make(dir);
    this.#known.set(dir, ensured);
    if (this.#known.size > MAX_KNOWN) this.#forgetOldest();
    return ensured;
  }

  /** Forgets which directories are known to be there. */
  forget(): void {
    this.#known.clear();
  }

  /** Fsyncs the directory. Callers that come while one runs share the next. */
  sync(dir: string): Promise<void> {
    const running = this.#running.get(dir);
    if (running === undefined) return this.#start(dir);
    const waiting = this.#waiting.get(dir);
    if (waiting !== undefined) return waiting;
    const start = () => {
      this.#waiting.delete(dir);
      return this.#start(dir);
    };
    const next = running.then(start, start);
    this.#waiting.set(dir, next);
    return next;
  }

  #start(dir: string): Promise<void> {
    const started: Promise<void> = this.#fsync(dir).finally(() => {
      if (this.#running.get(dir) === started) this.#running.delete(dir);
    });
    this.#running.set(dir, started);
    return started;
  }

  async #fsync(dir: string): Promise<void> {
    try {
      await fsyncDirectory(dir);
    } catch (error) {
      this.#known.delete(dir);
      throw error;
    }
  }

  async #make(dir: string): Promise<void> {
    try {
      await mkdirIfAbsent(dir);
      await this.sync(dirname(dir));
      await this.sync(dir);
    } catch (error) {
      this.#known.delete(dir);
      throw error;
    }
  }

  #forgetOldest(): void {
    for (const dir of this.#known.keys()) {
      this.#known.delete(dir);
      return;
    }
  }
}

async function mkdirIfAbsent(dir: string): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}
