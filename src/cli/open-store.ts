import { type App, openApp } from "../core/app.ts";
import { type LoadedConfig, loadConfig, readEnvironment } from "../core/config.ts";
import type { Context, StoreOptions } from "./context.ts";

/** Reads the configuration and tells its warnings. */
export async function readConfig({ output }: Context, options: StoreOptions): Promise<LoadedConfig> {
  const flags = { store: options.store, blobs: options.blobs };
  const loaded = await loadConfig({ flags, env: readEnvironment(), cwd: process.cwd(), file: options.config });
  for (const warning of loaded.warnings) output.note(`warning ${warning}`);
  return loaded;
}

/** Opens the store the options name. Fails with `no_store` when there is none. */
export async function open(context: Context, options: StoreOptions): Promise<App> {
  const { values } = await readConfig(context, options);
  return await openApp(values, { create: false });
}

/** Opens the store the options name, and makes it when there is none. */
export async function openOrCreate(context: Context, options: StoreOptions): Promise<App> {
  const { values } = await readConfig(context, options);
  return await openApp(values, { create: true });
}
