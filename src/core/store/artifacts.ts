/**
 * What stages gave, named by what made it. They are written by JobStore.settle alone, in the commit
 * that ends the job. Times are epoch milliseconds.
 */
export interface ArtifactStore {
  /** The current artifact of each stage of a session, with what is needed to tell whether it is stale. */
  readHeads(project: string, session: string, signal: AbortSignal): Promise<ArtifactHead[]>;
  /** An artifact with its bytes; undefined when there is none of that key. */
  readArtifact(project: string, session: string, key: string, signal: AbortSignal): Promise<Artifact | undefined>;
  /** Every artifact a session ever had, current ones first, then newest first; at most `limit`. No bytes. */
  listArtifacts(project: string, session: string, limit: number, signal: AbortSignal): Promise<ArtifactRecord[]>;
}

/**
 * The key is the sha256 of stage, version, parameters and input hashes: the same key means the same
 * output. Hashes are lower-case hexadecimal.
 */
export interface ArtifactHead {
  readonly key: string;
  readonly stage: string;
  readonly version: number;
  /** Hash of the canonical parameters. */
  readonly params: string;
  /** What was read: the recording or a stage, with the hash of its bytes. */
  readonly inputs: readonly ArtifactInput[];
  /** sha256 of the canonical output: equal outputs need nothing after them to be run again. */
  readonly output: string;
}

export interface ArtifactInput {
  readonly name: string;
  readonly hash: string;
}

export interface ArtifactRecord extends ArtifactHead {
  /** Whether it is the stage's current one. */
  readonly current: boolean;
  /** The canonical parameters. */
  readonly paramsJson: string;
  readonly createdAtMs: number;
  readonly durationMs: number;
  readonly job: number;
  readonly campaign: string | undefined;
  readonly bytes: number;
  readonly storedBytes: number;
  /** Derived blobs it names. */
  readonly blobs: readonly string[];
}

export interface Artifact extends ArtifactHead {
  /** Canonical JSON. */
  readonly data: Uint8Array;
}

/**
 * What a stage gave, as settle stores it. Settle moves the stage's head, and from the heads as they
 * are in that commit derives the signature the session's row keeps (see pipeline/freshness.ts
 * signatureOf), so that many sessions can be judged without reading any.
 */
export type NewArtifact =
  /** The key is there already, from before: it becomes the current one again. */
  | { readonly reuse: true; readonly key: string; readonly stage: string; readonly score: number | undefined }
  | ({
      readonly reuse: false;
      readonly paramsJson: string;
      readonly durationMs: number;
      /** Packed as `encoding` says (see session/segment.ts). */
      readonly encoding: 0 | 1;
      readonly payload: Uint8Array;
      readonly bytes: number;
      /** Derived blobs it names. */
      readonly blobs: readonly string[];
      /** The overall score, when the stage gives one: it goes to the session's row. */
      readonly score: number | undefined;
    } & ArtifactHead);
