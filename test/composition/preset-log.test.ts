import { expect, test } from "vitest";
import { createLatchkey } from "../../src/composition/latchkey.ts";
import { createLogger } from "../../src/logger.ts";

test("a preset that the issuer chose is said in the log once, one that is named is not", async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", format: "json", write: (line) => lines.push(line), now: () => 0 });
  const latchkey = createLatchkey({
    config: {
      server: { port: 0 },
      store: { type: "memory" },
      authorizationServers: {
        chosen: { issuer: "https://acme.okta.com", clientId: "latchkey" },
        named: { issuer: "https://accounts.google.com", clientId: "latchkey", preset: "google" },
        unknown: { issuer: "https://login.example.com", clientId: "latchkey" },
      },
    },
    logger,
  });
  await latchkey.start();
  await latchkey.close();
  const said = lines.map((line) => JSON.parse(line)).filter((line) => line.preset !== undefined);
  expect(said).toMatchObject([{ level: "info", authorizationServer: "chosen", preset: "okta" }]);
});
