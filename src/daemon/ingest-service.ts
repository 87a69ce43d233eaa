import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { resolveProject } from "../core/auth.ts";
import { withDeadline } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { Ingest } from "../core/session/ingest.ts";
import type { StreamRef } from "../core/store/store.ts";
import type { AppendRequest, UploadRequest } from "../wire/gen/sluice/opaque/v1/opaque_pb.ts";
import type {
  AppendResponse,
  BlobChunk,
  IngestService,
  StreamRef as StreamRefMessage,
  UploadResponse,
} from "../wire/gen/sluice/v1/ingest_pb.ts";
import { AppendResponseSchema } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { callOf, principalOf } from "./call.ts";
import { infoOf, problemOf, sealCommandOf, sealedOf } from "./messages.ts";
import { serveUpload } from "./upload.ts";

export interface IngestServiceOptions {
  readonly ingest: Ingest;
  /** Bytes a sender may have unacked now. */
  readonly credit: () => number;
  readonly callDeadlineMs: number;
  /** Aborts when the daemon stops. */
  readonly shutdown: AbortSignal;
  readonly uploads: { opened(): void; closed(): void; fenced(): void };
}

type UnaryMethods = Pick<ServiceImpl<typeof IngestService>, "putBlob" | "seal" | "missingBlobs" | "getWatermark">;

/** sluice.v1.IngestService over the ingest path. Events come as bytes; JSON callers' are encoded first. */
export class IngestHandlers implements UnaryMethods {
  readonly #options: IngestServiceOptions;

  constructor(options: IngestServiceOptions) {
    this.#options = options;
  }

  async *upload(requests: AsyncIterable<UploadRequest>, context: HandlerContext): AsyncGenerator<UploadResponse> {
    const { ingest, credit, callDeadlineMs, shutdown, uploads } = this.#options;
    const { account, watch, widen } = callOf(context);
    const principal = principalOf(context);
    widen();
    uploads.opened();
    try {
      yield* serveUpload(requests, {
        ingest,
        account,
        watch,
        credit,
        resolveProject: (requested) => resolveProject(principal, requested),
        storeDeadlineMs: callDeadlineMs,
        signal: AbortSignal.any([shutdown, principal.signal, context.signal]),
      });
    } catch (error) {
      if (error instanceof AppError && error.reason === "FENCED") uploads.fenced();
      throw error;
    } finally {
      uploads.closed();
    }
  }

  async append(request: AppendRequest, context: HandlerContext): Promise<AppendResponse> {
    const { firstSeq = 0n, events = [] } = request.events ?? {};
    const appended = await this.#options.ingest.append(
      { ref: refOf(request.stream, context), epoch: undefined, firstSeq, events, info: infoOf(request.session) },
      this.#deadline(context),
    );
    const { durableSeq, stored, duplicate, problems } = appended;
    return create(AppendResponseSchema, { durableSeq, stored, duplicate, quarantined: problems.map(problemOf) });
  }

  putBlob: UnaryMethods["putBlob"] = async (request, context) => {
    const project = resolveProject(principalOf(context), request.project);
    const chunk = chunkOf(request.chunk);
    const { received, stored } = await this.#options.ingest.putBlob(project, chunk, this.#deadline(context));
    return { status: { blobId: chunk.id, received: BigInt(received), stored } };
  };

  seal: UnaryMethods["seal"] = async (request, context) => {
    const project = resolveProject(principalOf(context), request.project);
    const command = sealCommandOf({ project, session: request.session }, request.seal, undefined);
    return { sealed: sealedOf(await this.#options.ingest.seal(command, this.#deadline(context))) };
  };

  missingBlobs: UnaryMethods["missingBlobs"] = async (request, context) => {
    const project = resolveProject(principalOf(context), request.project);
    if (request.blobIds.length > MAX_ASKED) {
      throw new AppError("invalid_argument", `Ask for at most ${MAX_ASKED} blobs at once.`, { reason: "TOO_MANY_IDS" });
    }
    const { blobIds, session } = request;
    const missing = await this.#options.ingest.missingBlobs(
      project,
      blobIds,
      session === "" ? undefined : session,
      this.#deadline(context),
    );
    return { missing: missing.map(({ id, received }) => ({ blobId: id, received: BigInt(received) })) };
  };

  getWatermark: UnaryMethods["getWatermark"] = async (request, context) => {
    return await this.#options.ingest.watermark(refOf(request.stream, context), this.#deadline(context));
  };

  #deadline(context: HandlerContext): AbortSignal {
    return withDeadline(context.signal, this.#options.callDeadlineMs);
  }
}

const MAX_ASKED = 1_000;

function refOf(message: StreamRefMessage | undefined, context: HandlerContext): StreamRef {
  const { project = "", session = "", stream = "" } = message ?? {};
  return { project: resolveProject(principalOf(context), project), session, stream };
}

function chunkOf(chunk: BlobChunk | undefined) {
  const { blobId = "", size = 0n, offset = 0n, data = new Uint8Array(), mediaType = "" } = chunk ?? {};
  return { id: blobId, size: Number(size), offset: Number(offset), data, mediaType };
}
