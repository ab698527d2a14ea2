import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type AtEnd, World } from "../support/e2e-world.ts";
import { equipLegacy } from "./legacy-fixture.ts";
import { equipModern } from "./modern-fixture.ts";

/** A server that the conformance suite can test: at `url`, as alice. */
export interface TestedServer {
  readonly world: World;
  readonly url: string;
}

/**
 * Starts the whole of Latchkey, with the suite's fixtures on each MCP server that it makes, behind a proxy that adds
 * alice's connection key: the suite cannot send a header. The fixtures are put on here and nowhere in the product.
 */
export async function startTestedServer(atEnd: AtEnd): Promise<TestedServer> {
  const target = { port: 0, key: "" };
  const proxy = await startProxy(target);
  atEnd(async () => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const url = `http://localhost:${portOf(proxy)}`;
  const world = await World.start(atEnd, {
    accessTokenSeconds: 60,
    configure: (config) => ({ ...config, server: { ...config.server, publicUrl: url } }),
  });
  target.port = Number(new URL(world.listenUrl).port);
  await equip(world);
  target.key = (await world.signIn("alice")).key;
  return { world, url };
}

async function equip(world: World): Promise<void> {
  const { servers } = world.server.core;
  const create = servers.create.bind(servers);
  servers.create = (connection) => {
    const server = create(connection);
    equipLegacy(server);
    return server;
  };
  const modern = await servers.modern();
  const createModern = modern.create.bind(modern);
  modern.create = (connection) => {
    const server = createModern(connection);
    equipModern(server);
    return server;
  };
}

/** Everything as it came, Host and Origin too; for MCP with the key, once there is one. */
async function startProxy(target: { readonly port: number; readonly key: string }): Promise<Server> {
  const proxy = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const isMcp = path === "/mcp" && target.key !== "";
    const authorization = !isMcp ? {} : { authorization: `Bearer ${target.key}` };
    const onward = httpRequest({ host: "127.0.0.1", port: target.port, method, path, headers: { ...headers, ...authorization } });
    onward.on("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return proxy;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
