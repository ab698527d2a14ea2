import { LatchkeyError } from "../errors.ts";
import type { ImportRequest } from "../token/imports.ts";
import { makeConnectionKey } from "./connection-key-making.ts";
import type { ImportAccess } from "./import-access.ts";
import { readJsonObject } from "./request-body.ts";
import type { Route } from "./route.ts";
import { json } from "./route.ts";
import { sessionJson } from "./session-json.ts";
import type { WebServices } from "./web-services.ts";

/** `POST /api/sessions`: a trusted backend hands a login over. 201 brings a connection key; 200 says that the login session was known. */
export function importRoute(services: WebServices, importAccess: ImportAccess, keyLimit: number): Route {
  return {
    method: "POST",
    path: "/api/sessions",
    handle: async (context) => {
      importAccess.mustBeBackend(context);
      const { created, loginSession } = await services.imports.importLogin(readImport(await readJsonObject(context)));
      const shown = sessionJson(loginSession, services.connectionsOf(loginSession.id));
      const location = { location: `/api/sessions/${loginSession.handle}` };
      if (!created) return json(shown, 200, location);
      const made = await makeConnectionKey(services, loginSession, { name: "import" }, keyLimit);
      return json({ ...shown, key: made.key, keyId: made.id }, 201, location);
    },
  };
}

/** Throws LatchkeyError `invalid_request` with all problems of the body's shape. */
function readImport(body: Readonly<Record<string, unknown>>): ImportRequest {
  const { id_token: idToken, refresh_token: refreshToken, access_token: accessToken, expires_in: expiresIn } = body;
  const problems = [
    ...(isToken(idToken) ? [] : ["id_token must be a string"]),
    ...(isToken(refreshToken) ? [] : ["refresh_token must be a string"]),
    ...(accessToken === undefined || isToken(accessToken) ? [] : ["access_token must be a string or absent"]),
    ...(expiresIn === undefined || isSeconds(expiresIn) ? [] : ["expires_in must be a number of seconds or absent"]),
  ];
  if (problems.length === 0 && isToken(idToken) && isToken(refreshToken))
    return { idToken, refreshToken, accessToken: isToken(accessToken) ? accessToken : undefined };
  throw new LatchkeyError("invalid_request", `The import was refused: ${problems.join("; ")}.`, { details: { problems } });
}

function isToken(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isSeconds(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
