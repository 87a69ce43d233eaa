import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isMap, isNode, isScalar, LineCounter, parseDocument, type YAMLMap } from "yaml";
import { z } from "zod";
import { closest } from "./closest.ts";
import { configSchema } from "./config-schema.ts";
import { AppError } from "./errors.ts";
import { formatBytes, formatDuration } from "./quantity.ts";

export type Config = Frozen<z.infer<typeof configSchema>>;

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

export interface ConfigSources {
  /** By setting name: `{"limits.message_bytes": "8MiB"}`. undefined is not given. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Environment;
  /** Where sluice.yaml is looked for. */
  readonly cwd: string;
  /** `--config`; undefined takes SLUICE_CONFIG, else sluice.yaml if there is one. */
  readonly file: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadedConfig {
  readonly values: Config;
  /** Where each setting's value came from, by name: `default`, `file sluice.yaml:12`, `env SLUICE_STORE`, `flag --store`. */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** The only place the environment is read. */
export function readEnvironment(): Environment {
  return process.env;
}

/**
 * Flags, then the environment, then the file, then the defaults. Relative paths in values stay as
 * written and mean the working directory. Fails with `invalid_argument` BAD_CONFIG, whose message
 * has a line for every problem with its setting and origin. A variable that begins with SLUICE_ and
 * is no setting is a warning and not an error, as others put some there (Kubernetes does).
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const file = await readSettingsFile(sources);
  const env = fromEnvironment(sources.env);
  const flags = fromFlags(sources.flags);
  const given = new Map<string, Given>();
  for (const source of [file, env, flags]) for (const entry of source.entries) given.set(entry.name, entry);

  const parsed = configSchema.safeParse(nest(given));
  const problems = [...file.problems, ...env.problems, ...flags.problems];
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => explain(issue, given)));
  if (!parsed.success || problems.length > 0) throw badConfig(problems);

  const origins = new Map(SETTINGS.map(({ name }) => [name, given.get(name)?.origin ?? "default"]));
  return { values: deepFreeze(parsed.data), origins, warnings: env.warnings };
}

export interface SettingRow {
  readonly setting: string;
  /** As it would be written, passwords in URLs replaced by `***`. Empty when unset. */
  readonly value: string;
  readonly origin: string;
}

/** Every setting in the order of the schema, fit to be shown to anyone. */
export function describeConfig(loaded: LoadedConfig): SettingRow[] {
  return SETTINGS.map((setting) => ({
    setting: setting.name,
    value: redactUrls(show(setting, valueAt(loaded.values, setting.keys))),
    origin: loaded.origins.get(setting.name) ?? "default",
  }));
}

/** `flag --store` is how a value of this setting is given on a command line. */
function flagOf(setting: string): string {
  return `--${setting.replaceAll(/[._]/g, "-")}`;
}

/** One thing that is wrong, as a line of a BAD_CONFIG message. */
interface BadSetting {
  readonly setting: string;
  readonly origin: string;
  readonly message: string;
}

export function badConfig(problems: readonly BadSetting[]): AppError {
  const lines = problems.map(({ setting, origin, message }) => `  ${setting} (${origin}): ${message}`);
  const what = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  return new AppError("invalid_argument", `The configuration has ${what}:\n${lines.join("\n")}`, {
    reason: "BAD_CONFIG",
    metadata: { settings: problems.map(({ setting }) => setting).join(",") },
  });
}

interface Setting {
  readonly name: string;
  readonly keys: readonly string[];
  readonly env: string;
  readonly unit: unknown;
}

const SETTINGS: readonly Setting[] = Object.entries(configSchema.shape).flatMap(([key, schema]) =>
  schema instanceof z.ZodObject
    ? Object.entries(schema.shape).map(([inner, leaf]) => setting([key, inner], leaf))
    : [setting([key], schema)],
);

function setting(keys: readonly string[], schema: z.ZodType): Setting {
  const name = keys.map(snake).join(".");
  return { name, keys, env: `SLUICE_${name.replaceAll(".", "_").toUpperCase()}`, unit: schema.meta()?.["unit"] };
}

function snake(key: string): string {
  return key.replace(/Ms$/, "").replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A value one source gave for a setting. */
interface Given {
  readonly name: string;
  readonly value: unknown;
  readonly origin: string;
}

interface Source {
  readonly entries: Given[];
  readonly problems: BadSetting[];
  readonly warnings: string[];
}

function emptySource(): Source {
  return { entries: [], problems: [], warnings: [] };
}

function fromFlags(flags: ConfigSources["flags"]): Source {
  const source = emptySource();
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const origin = `flag ${flagOf(name)}`;
    if (SETTINGS.some((known) => known.name === name)) source.entries.push({ name, value, origin });
    else source.problems.push({ setting: name, origin, message: unknownSetting(name) });
  }
  return source;
}

/** Variables that are ours and no settings. */
const OTHER_VARIABLES = ["SLUICE_CONFIG", "SLUICE_KEY"];
/** What Kubernetes puts into every pod for a service named sluice or sluiced. */
const KUBERNETES = /^SLUICED?_(SERVICE_|PORT$|PORT_)/;

function fromEnvironment(env: Environment): Source {
  const source = emptySource();
  const byVariable = new Map(SETTINGS.map(({ env: variable, name }) => [variable, name]));
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("SLUICE_") || value === undefined || value === "") continue;
    const name = byVariable.get(variable);
    if (name !== undefined) {
      source.entries.push({ name, value, origin: `env ${variable}` });
    } else if (!OTHER_VARIABLES.includes(variable) && !KUBERNETES.test(variable)) {
      const near = closest(variable, [...byVariable.keys(), ...OTHER_VARIABLES]);
      source.warnings.push(`${variable} is no setting${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
  }
  return source;
}

async function readSettingsFile({ file, env, cwd }: ConfigSources): Promise<Source> {
  const asked = file ?? (env["SLUICE_CONFIG"] || undefined);
  const name = asked ?? "sluice.yaml";
  let text: string;
  try {
    text = await readFile(resolve(cwd, name), "utf8");
  } catch (error) {
    if (asked === undefined && isMissing(error)) return emptySource();
    throw new AppError("invalid_argument", `The configuration file ${name} can't be read: ${reasonOf(error)}.`, {
      reason: "BAD_CONFIG",
      cause: error,
    });
  }
  return fromYaml(text, name);
}

function fromYaml(text: string, file: string): Source {
  const source = emptySource();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const originAt = (offset: number | undefined) => `file ${file}:${lines.linePos(offset ?? 0).line}`;
  for (const error of document.errors) {
    source.problems.push({ setting: file, origin: originAt(error.pos[0]), message: error.message });
  }
  if (document.errors.length > 0 || document.contents === null) return source;
  if (!isMap(document.contents)) {
    source.problems.push({ setting: file, origin: originAt(0), message: "is not a mapping of settings" });
    return source;
  }

  const walk = (map: YAMLMap, prefix: string) => {
    for (const { key, value } of map.items) {
      const word = isScalar(key) ? String(key.value) : String(key);
      const name = prefix + word;
      const origin = originAt(isScalar(key) ? key.range?.[0] : undefined);
      if (SETTINGS.some((known) => known.name === name)) {
        // An empty value is how YAML writes null, and means the default.
        const plain = isNode(value) ? value.toJS(document) : value;
        if (plain !== null) source.entries.push({ name, value: plain, origin });
      } else if (!SETTINGS.some((known) => known.name.startsWith(`${name}.`))) {
        source.problems.push({ setting: name, origin, message: unknownSetting(name) });
      } else if (isMap(value)) {
        walk(value, `${name}.`);
      } else if (!(isScalar(value) && value.value === null)) {
        source.problems.push({ setting: name, origin, message: "is a group of settings, not a value" });
      }
    }
  };
  walk(document.contents, "");
  return source;
}

function unknownSetting(name: string): string {
  const near = closest(
    name,
    SETTINGS.map((known) => known.name),
  );
  return `is no setting${near === undefined ? "" : `; did you mean ${near}?`}`;
}

function nest(given: ReadonlyMap<string, Given>): Record<string, Record<string, unknown> | unknown> {
  const root: Record<string, unknown> = {};
  const groups = new Map<string, Record<string, unknown>>();
  for (const { name, keys } of SETTINGS) {
    const [first = "", second] = keys;
    const value = given.get(name)?.value;
    if (second === undefined) {
      root[first] = value;
      continue;
    }
    const group = groups.get(first) ?? {};
    groups.set(first, group);
    group[second] = value;
    root[first] = group;
  }
  return root;
}

function explain(issue: z.core.$ZodIssue, given: ReadonlyMap<string, Given>): BadSetting {
  const keys = issue.path.map(String);
  const found = SETTINGS.find((known) => known.keys.every((key, at) => keys[at] === key));
  const name = found?.name ?? keys.join(".");
  const from = given.get(name);
  const value = from === undefined ? "" : `${redactUrls(JSON.stringify(from.value)).slice(0, 100)} `;
  return { setting: name, origin: from?.origin ?? "default", message: value + choices(issue) };
}

function choices(issue: z.core.$ZodIssue): string {
  return issue.code === "invalid_value" ? `is none of ${issue.values.join(", ")}` : issue.message;
}

function valueAt(values: unknown, keys: readonly string[]): unknown {
  let at = values;
  for (const key of keys) at = isRecord(at) ? at[key] : undefined;
  return at;
}

function show({ unit }: Setting, value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "number" && unit === "bytes") return formatBytes(value);
  if (typeof value === "number" && unit === "duration") return formatDuration(value);
  if (Array.isArray(value)) return value.join(",");
  if (!isRecord(value)) return String(value);
  if (typeof value["url"] === "string") return value["url"];
  const host = String(value["host"]);
  return `${host.includes(":") ? `[${host}]` : host}:${String(value["port"])}`;
}

function redactUrls(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^/\s:@]*):[^/\s@]+@/gi, "$1:***@");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function deepFreeze<T>(value: T): T {
  if (isRecord(value)) for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function reasonOf(error: unknown): string {
  if (isMissing(error)) return "there is no such file";
  return error instanceof Error ? error.message : String(error);
}
