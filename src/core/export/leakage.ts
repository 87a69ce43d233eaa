import { SPLITS, type Split } from "./exporter.ts";
import { ALIKE_BITS, AlikeIndex, differenceHash } from "./likeness.ts";
import { JoinedGroups } from "./splits.ts";

/** What stands in more than one split. A task never does. */
export interface LeakageReport {
  /** Screenshots whose hashes differ in at most so many of 64 bits count as alike. */
  readonly alikeBits: number;
  /** Screenshots, by how they look. */
  readonly looks: number;
  /** Looks that more than one split has. */
  readonly sharedLooks: number;
  /** Sessions with a screenshot that another split has too, by split. */
  readonly sessions: Readonly<Record<Split, number>>;
  /** The looks that most sessions share: a few of those in each split. */
  readonly examples: readonly Readonly<Partial<Record<Split, readonly string[]>>>[];
  /** Sites that more than one split has. */
  readonly sharedSites: readonly string[];
}

/** Gathers what sessions have in common. */
export class Leakage {
  readonly #groups = new Map<string, string>();
  readonly #sites = new Map<string, string[]>();
  readonly #hashes = new Map<string, string>();
  readonly #index = new AlikeIndex();
  readonly #looks = new JoinedGroups();
  readonly #sessions = new Map<string, Set<string>>();

  session(session: string, group: string, site: string): void {
    this.#groups.set(session, group);
    if (site === "") return;
    const sessions = this.#sites.get(site) ?? [];
    sessions.push(session);
    this.#sites.set(site, sessions);
  }

  /** `read` gives a blob's bytes; it is called once a blob. */
  async screenshot(session: string, blob: string, read: (blob: string) => Promise<Uint8Array>): Promise<void> {
    const hash = this.#hashes.get(blob) ?? (await differenceHash(await read(blob)));
    this.#hashes.set(blob, hash);
    for (const other of this.#index.add(hash)) this.#looks.join(hash, other);
    const sessions = this.#sessions.get(hash) ?? new Set();
    this.#sessions.set(hash, sessions.add(session));
  }

  /** Groups of sessions whose screenshots look alike, joined. */
  joinedGroups(): JoinedGroups {
    const joined = new JoinedGroups();
    for (const sessions of this.#byLook().values()) {
      const groups = [...sessions].map((session) => this.#groups.get(session) ?? session);
      for (const group of groups) joined.join(groups[0] ?? group, group);
    }
    return joined;
  }

  report(assigned: readonly { readonly session: string; readonly split: Split }[]): LeakageReport {
    const splits = new Map(assigned.map(({ session, split }) => [session, split]));
    const looks = this.#byLook();
    const shared = [...looks.values()]
      .map((sessions) => Map.groupBy([...sessions].sort(), (session) => splits.get(session) ?? "train"))
      .filter((bySplit) => bySplit.size > 1);
    const leaking = new Set(shared.flatMap((bySplit) => [...bySplit.values()].flat()));
    const examples = shared.sort(bySize).slice(0, EXAMPLES);
    return {
      alikeBits: ALIKE_BITS,
      looks: looks.size,
      sharedLooks: shared.length,
      sessions: {
        train: countOf(leaking, splits, "train"),
        validation: countOf(leaking, splits, "validation"),
        test: countOf(leaking, splits, "test"),
      },
      examples: examples.map((bySplit) =>
        Object.fromEntries(
          SPLITS.filter((split) => bySplit.has(split)).map((split) => [
            split,
            bySplit.get(split)?.slice(0, NAMED) ?? [],
          ]),
        ),
      ),
      sharedSites: [...this.#sites]
        .filter(([, sessions]) => new Set(sessions.map((session) => splits.get(session))).size > 1)
        .map(([site]) => site)
        .sort(),
    };
  }

  /** Sessions by what their screenshots look like. */
  #byLook(): Map<string, Set<string>> {
    const looks = new Map<string, Set<string>>();
    for (const [hash, sessions] of this.#sessions) {
      const look = this.#looks.of(hash);
      looks.set(look, new Set([...(looks.get(look) ?? []), ...sessions]));
    }
    return looks;
  }
}

const EXAMPLES = 20;
const NAMED = 5;

type BySplit = ReadonlyMap<Split, readonly string[]>;

function bySize(a: BySplit, b: BySplit): number {
  const size = (each: BySplit): number => [...each.values()].reduce((sum, sessions) => sum + sessions.length, 0);
  const name = (each: BySplit): string => [...each.values()].flat().join();
  return size(b) - size(a) || (name(a) < name(b) ? -1 : 1);
}

function countOf(sessions: ReadonlySet<string>, splits: ReadonlyMap<string, Split>, split: Split): number {
  return [...sessions].filter((session) => splits.get(session) === split).length;
}
