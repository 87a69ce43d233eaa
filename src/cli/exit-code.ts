import type { ErrorCode } from "../core/errors.ts";

/** What a command's exit code says. Scripts may rely on these. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  nothingMatched: 4,
  budgetReached: 8,
  noStore: 10,
  locked: 11,
  notAllowed: 12,
  interrupted: 130,
} as const;

/** The one table from what went wrong to the exit code. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: EXIT.usage,
  unauthenticated: EXIT.notAllowed,
  permission_denied: EXIT.notAllowed,
  not_found: EXIT.nothingMatched,
  conflict: EXIT.failed,
  out_of_range: EXIT.failed,
  aborted: EXIT.failed,
  failed_precondition: EXIT.failed,
  resource_exhausted: EXIT.failed,
  unavailable: EXIT.failed,
  deadline_exceeded: EXIT.failed,
  cancelled: EXIT.interrupted,
  data_loss: EXIT.failed,
  locked: EXIT.locked,
  no_store: EXIT.noStore,
  internal: EXIT.failed,
};
