import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Lease, Principal } from "../core/auth.ts";
import { AppError } from "../core/errors.ts";
import type { Account } from "./budget.ts";
import type { CallWatch } from "./deadlines.ts";

/** What the daemon knows of one call beside its messages. */
export interface Call {
  readonly account: Account;
  readonly watch: CallWatch;
  readonly remoteAddress: string;
  /** Set once the caller is known. */
  lease: Lease | undefined;
  /** The Connect code it ended with, "ok" among them; undefined while it runs. */
  outcome: string | undefined;
  /** Gives the peer a larger receive window. Called once it is known and wants to send much. */
  widen(): void;
}

export const callKey: ContextKey<Call | undefined> = createContextKey<Call | undefined>(undefined, {
  description: "call",
});

export function callOf(context: Pick<HandlerContext, "values">): Call {
  const call = context.values.get(callKey);
  if (call === undefined) throw new AppError("internal", "A call has no context.", { reason: "INTERNAL" });
  return call;
}

export function principalOf(context: Pick<HandlerContext, "values">): Principal {
  const { lease } = callOf(context);
  if (lease === undefined) throw new AppError("internal", "A call was not authenticated.", { reason: "INTERNAL" });
  return lease.principal;
}
