import { createHash, randomBytes } from "node:crypto";
import type { DemoAuthorizationServer } from "../../src/demo/authorization-server.ts";
import { type ScriptedBrowser, signInByForm } from "../../src/demo/scripted-browser.ts";

export const redirectUri = "http://127.0.0.1:8420/login/callback";

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface LoginOptions {
  readonly scope?: string;
  readonly browser?: ScriptedBrowser;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** An OAuth client on plain fetch, so that nothing stands between the test and the wire. */
export class PlainClient {
  readonly server: DemoAuthorizationServer;
  constructor(server: DemoAuthorizationServer) {
    this.server = server;
  }

  authorization(options: LoginOptions = {}): { readonly url: string; readonly verifier: string } {
    const verifier = randomBytes(32).toString("base64url");
    const url = new URL(`${this.server.issuer}/auth`);
    url.search = new URLSearchParams({
      client_id: this.server.clientId,
      redirect_uri: redirectUri,
      response_type: "code",
      scope: options.scope ?? "openid profile email",
      state: "the-state",
      nonce: "the-nonce",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...options.parameters,
    }).toString();
    return { url: url.href, verifier };
  }

  async login(user: string, options: LoginOptions = {}): Promise<Reply> {
    const { url, verifier } = this.authorization(options);
    const callback = await signInByForm(url, user, options.browser);
    return this.exchange(callback, verifier);
  }

  exchange(callback: URL, verifier: string): Promise<Reply> {
    const code = callback.searchParams.get("code") ?? "";
    return this.token({ grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirectUri });
  }

  refresh(refreshToken: unknown): Promise<Reply> {
    return this.token({ grant_type: "refresh_token", refresh_token: String(refreshToken) });
  }

  token(fields: Readonly<Record<string, string>>): Promise<Reply> {
    return this.post("/token", fields);
  }

  revoke(token: unknown): Promise<Reply> {
    return this.post("/token/revocation", { token: String(token) });
  }

  introspect(token: unknown): Promise<Reply> {
    return this.post("/token/introspection", { token: String(token) });
  }

  async post(path: string, fields: Readonly<Record<string, string>>): Promise<Reply> {
    const credentials = Buffer.from(`${this.server.clientId}:${this.server.clientSecret}`).toString("base64");
    return read(
      await fetch(this.server.issuer + path, {
        method: "POST",
        headers: { authorization: `Basic ${credentials}` },
        body: new URLSearchParams(fields),
      }),
    );
  }
}

/** Status and JSON body; a body that is no JSON counts as empty. */
export async function read(response: Response): Promise<Reply> {
  const text = await response.text();
  const body: unknown = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: response.status, body: typeof body === "object" && body !== null ? { ...body } : {} };
}

/** The claims of a JWT, unchecked. */
export function claims(token: unknown): Readonly<Record<string, unknown>> {
  const payload: unknown = JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString("utf8"));
  return typeof payload === "object" && payload !== null ? { ...payload } : {};
}
