import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { fromOpaqueStored, toOpaqueAppend, toOpaqueUpload } from "../wire/convert.ts";
import { IngestService } from "../wire/gen/sluice/v1/ingest_pb.ts";
import { KeysService } from "../wire/gen/sluice/v1/keys_pb.ts";
import { SessionsService } from "../wire/gen/sluice/v1/sessions_pb.ts";
import { opaqueAppend, opaqueReadEvents, opaqueTail, opaqueUpload } from "../wire/opaque.ts";
import type { Health } from "./health.ts";
import { registerHealth } from "./health.ts";
import type { IngestHandlers } from "./ingest-service.ts";
import { registerReflection } from "./reflection.ts";
import type { SessionsHandlers } from "./sessions-service.ts";

export interface Handlers {
  readonly ingest: IngestHandlers;
  readonly sessions: SessionsHandlers;
  readonly keys: ServiceImpl<typeof KeysService>;
  readonly health: Health;
}

const SERVICES = [IngestService, SessionsService, KeysService] as const;

/** What the port serves in the binary encodings: events stay the bytes they are. */
export function binaryRoutes({ ingest, sessions, ...handlers }: Handlers): (router: ConnectRouter) => void {
  return (router) => {
    standardRoutes(router, handlers);
    router.service(IngestService, {
      putBlob: ingest.putBlob,
      seal: ingest.seal,
      missingBlobs: ingest.missingBlobs,
      getWatermark: ingest.getWatermark,
    });
    router.rpc(opaqueUpload, (requests, context) => ingest.upload(requests, context));
    router.rpc(opaqueAppend, (request, context) => ingest.append(request, context));
    router.service(SessionsService, {
      getSession: sessions.getSession,
      listSessions: sessions.listSessions,
      readBlob: (request, context) => sessions.readBlob(request, context),
    });
    router.rpc(opaqueReadEvents, (request, context) => sessions.readEvents(request, context));
    router.rpc(opaqueTail, (request, context) => sessions.tail(request, context));
  };
}

/** The same in JSON, where events are objects. */
export function jsonRoutes({ ingest, sessions, ...handlers }: Handlers): (router: ConnectRouter) => void {
  return (router) => {
    standardRoutes(router, handlers);
    router.service(IngestService, {
      upload: (requests, context) => ingest.upload(toOpaqueUpload(requests), context),
      append: (request, context) => ingest.append(toOpaqueAppend(request), context),
      putBlob: ingest.putBlob,
      seal: ingest.seal,
      missingBlobs: ingest.missingBlobs,
      getWatermark: ingest.getWatermark,
    });
    router.service(SessionsService, {
      getSession: sessions.getSession,
      listSessions: sessions.listSessions,
      readBlob: (request, context) => sessions.readBlob(request, context),
      async *readEvents(request, context) {
        for await (const { events } of sessions.readEvents(request, context))
          yield { events: fromOpaqueStored(events) };
      },
      async *tail(request, context) {
        for await (const page of sessions.tail(request, context)) {
          yield { events: fromOpaqueStored(page.events), sealed: page.sealed };
        }
      },
    });
  };
}

function standardRoutes(router: ConnectRouter, { keys, health }: Pick<Handlers, "keys" | "health">): void {
  router.service(KeysService, keys);
  registerHealth(
    router,
    health,
    SERVICES.map((service) => service.typeName),
  );
  registerReflection(
    router,
    SERVICES.map((service) => service.file),
  );
}
