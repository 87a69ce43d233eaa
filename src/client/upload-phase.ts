import { ClientError } from "./errors.ts";

/** opening: Open is under way. sending: events and blobs. sealing: Seal is under way. ending: all is said. */
export type Phase = "opening" | "sending" | "sealing" | "ending";

export function ended(): ClientError {
  return new ClientError("unavailable", "The daemon ended the upload before all was stored.", {
    reason: "UPLOAD_ENDED",
    retryable: true,
  });
}

export function unexpected(frame: string): ClientError {
  return new ClientError("internal", `The daemon sent ${frame} where the protocol has none.`, { reason: "PROTOCOL" });
}

export function silent(phase: Phase, ms: number): ClientError {
  return phase === "opening"
    ? new ClientError("deadline_exceeded", `The daemon did not answer within ${ms} ms.`, {
        reason: "CONNECT_TIMEOUT",
        retryable: true,
      })
    : new ClientError("deadline_exceeded", `The daemon acknowledged nothing for ${ms} ms.`, {
        reason: "IDLE",
        retryable: true,
      });
}
