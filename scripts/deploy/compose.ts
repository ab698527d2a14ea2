import { existsSync } from "node:fs";
import { join } from "node:path";
import { drainSeconds } from "../../src/composition/http-server.ts";
import { configOf, sampleOf } from "./config.ts";
import type { ImageFacts } from "./dockerfile.ts";
import type { NginxFacts } from "./nginx.ts";
import { imageProblems, type Tree } from "./tree.ts";

export interface Surroundings {
  /** The folder of deploy/. */
  readonly directory: string;
  readonly configText: string;
  readonly image: ImageFacts;
  readonly nginx: NginxFacts;
}

/** What is wrong in compose.yaml. */
export function composeProblems(compose: Tree, { directory, configText, image, nginx }: Surroundings): readonly string[] {
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(`deploy/compose.yaml: ${problem}`));
  const services = compose.at("services");
  const proxy = services.at("nginx");
  const addressOf = (service: Tree): string => service.at("networks", "inside", "ipv4_address").text;
  for (const [name, service] of services.entries()) {
    problems.push(...imageProblems(`deploy/compose.yaml: ${name}`, service.at("image").text));
    must(!service.at("ports").isThere || name === "nginx", `${name} must not be published: only nginx is`);
    must(addressOf(service) !== "", `${name} needs a fixed address in the network`);
    for (const needed of [
      ...service.at("depends_on").keys(),
      ...service
        .at("depends_on")
        .list()
        .map(({ text }) => text),
    ]) {
      must(services.at(needed).isThere, `${name} depends on ${needed}, which is no service`);
      if (service.at("depends_on", needed, "condition").text === "service_healthy")
        must(services.at(needed, "healthcheck", "test").isThere, `${needed} needs a healthcheck: ${name} waits for it`);
    }
    for (const { text } of service.at("volumes").list()) {
      const source = text.replaceAll(/\$\{[^}]*\}/g, "variable").split(":")[0] ?? "";
      if (source.startsWith("./")) must(existsSync(join(directory, source)), `${name} mounts ${source}, which does not exist`);
      else
        must(
          source === "variable" || compose.at("volumes").keys().includes(source),
          `${name} uses the volume ${source}, which is not declared`,
        );
    }
  }
  const replicas = services.entries().filter(([, service]) => service.at("environment", "LATCHKEY_REPLICA").isThere);
  must(
    [...nginx.replicas].sort().join() ===
      replicas
        .map(([name]) => name)
        .sort()
        .join(),
    `the replicas must be those of nginx.conf: ${nginx.replicas.join(", ")}`,
  );
  const disks = new Set<string>();
  for (const [name, service] of replicas) {
    const env = new Map([...service.at("environment").texts()].map(([key, value]) => [key, filledIn(value)]));
    const { config, problems: wrong } = configOf(`deploy/compose.yaml: ${name}`, configText, env);
    problems.push(...wrong);
    const mounts = service
      .at("volumes")
      .list()
      .map(({ text }) => text.split(":"));
    const disk = mounts.find(([, target]) => target === image.dataDirectory)?.[0] ?? "";
    must(disk !== "" && !disks.has(disk), `${name} needs a volume of its own at ${image.dataDirectory}`);
    disks.add(disk);
    must(
      mounts.some(([source, target]) => source === "./latchkey.config.json" && target === image.configFile),
      `${name} needs the configuration at ${image.configFile}`,
    );
    must(service.at("read_only").value === true, `${name}: read_only`);
    must(seconds(service.at("stop_grace_period").text) > 2 * drainSeconds + 5, `${name} must have more time to stop than it drains`);
    must(
      existsSync(join(directory, service.at("build", "context").text, service.at("build", "dockerfile").text)),
      `${name} is built from a Dockerfile that does not exist`,
    );
    must(
      proxy
        .at("extra_hosts")
        .list()
        .some(({ text }) => text === `${name}:${addressOf(service)}`),
      `nginx must know the address of ${name}`,
    );
    if (config === undefined) continue;
    must(config.server.replica === name, `${name} must have its own name as LATCHKEY_REPLICA`);
    must(config.server.port === image.port, "the port of the configuration must be that of the image");
    must(config.store.journalDirectory?.startsWith(`${image.dataDirectory}/`) === true, "the journal must lie on the volume");
    must(config.server.trustedProxies.join() === addressOf(proxy), "nginx, and nobody else, must be a trusted proxy");
  }
  for (const { text } of proxy.at("ports").list())
    must(nginx.tlsPorts.includes(Number(text.split(":")[1])), `nginx publishes ${text}: it must be its port with TLS`);
  const tlsFolder = nginx.certificate.slice(0, nginx.certificate.lastIndexOf("/"));
  must(
    proxy
      .at("volumes")
      .list()
      .some(({ text }) => text.endsWith(`:${tlsFolder}:ro`)),
    `nginx needs its certificate in ${tlsFolder}`,
  );
  return problems;
}

/** `${NAME:?what to say without it}` as somebody would set it. */
function filledIn(text: string): string {
  return text.replaceAll(/\$\{(\w+)(?::\?[^}]*)?\}/g, (_, name: string) => sampleOf(name));
}

function seconds(text: string): number {
  return Number(/^(\d+)s$/.exec(text)?.[1] ?? Number.NaN);
}
