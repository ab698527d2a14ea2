import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "./e2e-process.ts";
import { eventually } from "./e2e-wait.ts";
import type { AtEnd } from "./e2e-world.ts";
import type { SelfSignedCertificate } from "./self-signed-certificate.ts";

const program = "/usr/sbin/nginx";
const isInstalled = spawnSync(program, ["-v"]).status === 0;

/** Why tests with nginx cannot run here. On the machine that checks changes that is a failure, not a skip. */
export const withoutNginx: string | undefined = isInstalled || process.env["CI"] === "true" ? undefined : "nginx is not installed";

export interface NginxOptions {
  readonly port: number;
  readonly tlsPort: number;
  readonly certificate: SelfSignedCertificate;
  /** Where each replica listens on loopback, by its name. */
  readonly replicas: ReadonlyMap<string, number>;
}

/** nginx with deploy/nginx.conf: its ports, addresses and folders are replaced, and nothing else. */
export class Nginx {
  readonly program: Program;
  readonly #folder: string;

  private constructor(running: Program, folder: string) {
    this.program = running;
    this.#folder = folder;
  }

  static async start(atEnd: AtEnd, options: NginxOptions): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-nginx-"));
    writeFileSync(join(folder, "tls.crt"), options.certificate.cert);
    writeFileSync(join(folder, "tls.key"), options.certificate.key, { mode: 0o600 });
    writeFileSync(join(folder, "nginx.conf"), filledIn(folder, options));
    const directives = "daemon off; user root;";
    const running = new Program(
      spawn(program, ["-c", join(folder, "nginx.conf"), "-e", join(folder, "start.log"), "-g", directives], { stdio: "pipe" }),
    );
    atEnd(async () => {
      running.child.kill("SIGTERM");
      await running.exit;
      rmSync(folder, { recursive: true, force: true });
    });
    const nginx = new Nginx(running, folder);
    await eventually("nginx answers", async () => {
      if (running.child.exitCode !== null) throw new Error(`nginx ended: ${running.stderr}`);
      return (await fetch(`http://127.0.0.1:${options.port}/health/live`)).status > 0;
    });
    return nginx;
  }

  /** Everything that it has logged. */
  get log(): string {
    return ["access.log", "error.log", "start.log"].map((file) => readFileSync(join(this.#folder, file), "utf8")).join("");
  }
}

/** Ports that are free at this moment, each another. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function filledIn(folder: string, { port, tlsPort, replicas }: NginxOptions): string {
  const template = readFileSync(join(import.meta.dirname, "..", "..", "deploy", "nginx.conf"), "utf8");
  const changes: readonly (readonly [string, string])[] = [
    // First: the folder itself may lie there.
    [" /tmp/", ` ${folder}/`],
    ["listen 8080;", `listen 127.0.0.1:${port};`],
    ["listen 8443 ssl;", `listen 127.0.0.1:${tlsPort} ssl;`],
    ["/etc/nginx/tls/", `${folder}/`],
    ["/dev/stdout", `${folder}/access.log`],
    ["/dev/stderr", `${folder}/error.log`],
    ...[...replicas].map(([name, at]): readonly [string, string] => [`server ${name}:8420`, `server 127.0.0.1:${at}`]),
  ];
  return changes.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`deploy/nginx.conf has no ${from}`);
    return text.replaceAll(from, to);
  }, template);
}
