import type { ServiceImpl } from "@connectrpc/connect";
import { type Keys, resolveProject } from "../core/auth.ts";
import { withDeadline } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { Scope } from "../core/store/store.ts";
import type { KeysService, Scope as ScopeMessage } from "../wire/gen/sluice/v1/keys_pb.ts";
import { principalOf } from "./call.ts";
import { keyOf, scopeOf } from "./messages.ts";

/** sluice.v1.KeysService over the keys. Answers that hold a secret are the only place it is told. */
export function keysHandlers(keys: Keys, callDeadlineMs: number): ServiceImpl<typeof KeysService> {
  return {
    async createKey(request, context) {
      const project = resolveProject(principalOf(context), request.project);
      const expiresAtMs = request.expiresAtMs === 0n ? undefined : Number(request.expiresAtMs);
      const scopes = request.scopes.map(knownScope);
      const wanted = { project, name: request.name, scopes, expiresAtMs };
      const { key, secret } = await keys.create(wanted, withDeadline(context.signal, callDeadlineMs));
      return { key: keyOf(key), secret };
    },
    async listKeys(request, context) {
      const project = resolveProject(principalOf(context), request.project);
      const listed = await keys.list(project, withDeadline(context.signal, callDeadlineMs));
      return { keys: listed.map(keyOf) };
    },
    async rotateKey(request, context) {
      const project = resolveProject(principalOf(context), request.project);
      const options = { project, overlapMs: Number(request.overlapMs) };
      const { key, secret } = await keys.rotate(request.id, options, withDeadline(context.signal, callDeadlineMs));
      return { key: keyOf(key), secret };
    },
    async revokeKey(request, context) {
      const project = resolveProject(principalOf(context), request.project);
      return { key: keyOf(await keys.revoke(request.id, { project }, withDeadline(context.signal, callDeadlineMs))) };
    },
  };
}

function knownScope(message: ScopeMessage): Scope {
  const scope = scopeOf(message);
  if (scope !== undefined) return scope;
  throw new AppError("invalid_argument", "scopes holds a scope this release does not know.", { reason: "BAD_SCOPE" });
}
