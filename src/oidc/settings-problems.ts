import { readClientKey } from "./client-key.ts";
import { addressProblem } from "./endpoint-address.ts";
import type { AuthorizationServerSettings } from "./settings.ts";
import { settingPath } from "./unavailable.ts";

/** What makes these settings unusable, each naming its setting; nothing of a secret. */
export function settingsProblems(settings: AuthorizationServerSettings): readonly string[] {
  const problems: string[] = [];
  const check = (setting: string, address: string): void => {
    const problem = addressProblem(address);
    if (problem !== undefined) problems.push(`${settingPath(settings, setting)} (${address}) ${problem}`);
  };
  check("issuer", settings.issuer);
  // OpenID Connect Discovery 1.0, section 3.
  if (/[?#]/.test(settings.issuer))
    problems.push(`${settingPath(settings, "issuer")} (${settings.issuer}) must not have a query or fragment`);
  for (const [name, address] of Object.entries(settings.endpoints ?? {})) if (address !== undefined) check(`endpoints.${name}`, address);
  if (settings.clientId === "") problems.push(`${settingPath(settings, "clientId")} is empty`);
  const method = settings.clientAuthentication;
  if ((method === "client_secret_basic" || method === "client_secret_post") && (settings.clientSecret ?? "") === "")
    problems.push(`${settingPath(settings, "clientAuthentication")} is ${method}, but ${settingPath(settings, "clientSecret")} is missing`);
  const key = settings.clientKey === undefined ? undefined : readClientKey(settings.clientKey, settings.clientKeyId);
  if (key?.kind === "unusable") problems.push(`${settingPath(settings, "clientKey")} ${key.problem}`);
  if (method === "private_key_jwt" && key === undefined)
    problems.push(`${settingPath(settings, "clientAuthentication")} is ${method}, but ${settingPath(settings, "clientKey")} is missing`);
  if (settings.clientSecret === "") problems.push(`${settingPath(settings, "clientSecret")} is empty`);
  return problems;
}
