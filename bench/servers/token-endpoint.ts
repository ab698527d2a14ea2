import { createServer } from "node:http";

/** An authorization server that has discovery and a token endpoint, and counts what is presented there. */
export interface TokenEndpoint {
  readonly issuer: string;
  /** How often a refresh token of this user was presented. */
  presentationsOf(user: string): number;
  close(): void;
}

/** Listens on loopback. Refresh tokens are `refresh-token-of-USER`, and stay as they are. */
export function startTokenEndpoint(): Promise<TokenEndpoint> {
  const presented = new Map<string, number>();
  let issuer = "";
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      const token = new URLSearchParams(body).get("refresh_token");
      if (token !== null) presented.set(token, (presented.get(token) ?? 0) + 1);
      const answer =
        request.url === "/token"
          ? {
              access_token: `access-token-${presented.size}`,
              token_type: "Bearer",
              expires_in: 30,
              refresh_token: token,
            }
          : { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
      resolve({
        issuer,
        presentationsOf: (user) => presented.get(`refresh-token-of-${user}`) ?? 0,
        close: () => server.close().closeAllConnections(),
      });
    });
  });
}
