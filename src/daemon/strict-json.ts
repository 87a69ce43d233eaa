import { AppError } from "../core/errors.ts";
import { nestsDeeper } from "../core/session/json-depth.ts";
import { toConnectError } from "./connect-errors.ts";

/**
 * How JSON requests are read: as UTF-8, where connect-es would put U+FFFD for what is not, and
 * nested no deeper than `depth`, before anything is made of them. A field nobody knows is refused:
 * in the binary encoding it is kept with the event, from JSON it would be lost without a word.
 */
export function strictJson(depth: number): StrictJson {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes: Uint8Array): string => {
    if (nestsDeeper(bytes, 0, bytes.length, depth)) {
      throw refused(`The request nests deeper than ${depth} levels.`, "TOO_DEEP");
    }
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw refused("The request is not valid UTF-8.", "BAD_MESSAGE", cause);
    }
  };
  return { ignoreUnknownFields: false, textDecoder: { decode } };
}

/** Options of connect-es's JSON serialization. */
interface StrictJson {
  readonly ignoreUnknownFields: false;
  readonly textDecoder: { decode(bytes: Uint8Array): string };
}

function refused(message: string, reason: string, cause?: unknown): Error {
  return toConnectError(new AppError("invalid_argument", message, { reason, cause }));
}
