import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, openApp } from "../../../src/core/app.ts";
import { type Config, loadConfig } from "../../../src/core/config.ts";
import { sealedSession } from "../../contract/job-fixtures.ts";

/** A store in a directory of its own, with sessions to process. */
export class Place implements AsyncDisposable {
  readonly dir: string;
  readonly config: Config;
  readonly app: App;

  private constructor(dir: string, config: Config, app: App) {
    this.dir = dir;
    this.config = config;
    this.app = app;
  }

  static async open(): Promise<Place> {
    const dir = await mkdtemp(join(tmpdir(), "sluice-jobs-"));
    const flags = { store: `sqlite:${dir}/sluice.db`, blobs: `file:${dir}/blobs` };
    const { values } = await loadConfig({ flags, env: {}, cwd: dir, file: undefined });
    return new Place(dir, values, await openApp(values, { create: true }));
  }

  /** Seals a session of three events, with the job of its first stage when `enqueued`. */
  async session(session: string, enqueued = true): Promise<void> {
    const job = { kind: "validate", project: "p", session, priority: 5 };
    await sealedSession(this.app.store, "p", session, enqueued ? [job] : []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true });
  }
}
