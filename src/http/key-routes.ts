import type { ConnectionKeyRecord } from "../session/connection-key.ts";
import { makeConnectionKey, readKeyRequest } from "./connection-key-making.ts";
import { readJsonObject } from "./request-body.ts";
import type { Route } from "./route.ts";
import { json } from "./route.ts";
import type { WebServices } from "./web-services.ts";
import type { Windows } from "./windows.ts";

/** `/api/sessions/:id/keys`: connection keys of the user's own login sessions. */
export function keyRoutes(services: WebServices, windows: Windows, limit: number): readonly Route[] {
  const { connectionKeys } = services.store;
  return [
    {
      method: "POST",
      path: "/api/sessions/:id/keys",
      handle: async (context) => {
        const window = await windows.mustGetForChange(context);
        const record = await windows.mustGetVisible(window, context.req.param("id") ?? "");
        const made = await makeConnectionKey(services, record, readKeyRequest(await readJsonObject(context)), limit);
        return json(made, 201, { location: `/api/sessions/${record.handle}/keys/${made.id}` });
      },
    },
    {
      method: "GET",
      path: "/api/sessions/:id/keys",
      handle: async (context) => {
        const window = await windows.mustGet(context);
        const record = await windows.mustGetVisible(window, context.req.param("id") ?? "");
        const keys = await connectionKeys.listByLoginSession(record.id);
        return json({ keys: [...keys].sort((a, b) => b.createdAt - a.createdAt).map((key) => keyJson(key, services.clock.now())) });
      },
    },
    {
      method: "DELETE",
      path: "/api/sessions/:id/keys/:key",
      handle: async (context) => {
        const window = await windows.mustGetForChange(context);
        const record = await windows.mustGetVisible(window, context.req.param("id") ?? "");
        const keyId = context.req.param("key") ?? "";
        const removed = await connectionKeys.remove(record.id, keyId);
        // Also when it was gone already: the first try may have removed it without ever hearing so from the store.
        services.closeConnectionsOfKey(record.id, keyId);
        if (removed) services.audit.record({ event: "connection_key_removed", login: record.handle, key: keyId });
        return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
      },
    },
  ];
}

function keyJson(key: ConnectionKeyRecord, now: number): Readonly<Record<string, unknown>> {
  return {
    id: key.id,
    name: key.name,
    created: new Date(key.createdAt).toISOString(),
    expires: key.expiresAt === undefined ? undefined : new Date(key.expiresAt).toISOString(),
    expired: key.expiresAt !== undefined && key.expiresAt <= now,
  };
}
