import type { Surroundings } from "./compose.ts";
import { configOf, sampleOf } from "./config.ts";
import type { Cluster } from "./kubernetes-manifests.ts";
import type { Tree } from "./tree.ts";

const where = "deploy/kubernetes/latchkey.yaml";

/** What does not fit together between the replicas, their Services, the image, nginx and the configuration. */
export function replicaProblems(cluster: Cluster, { configText, image, nginx }: Surroundings): readonly string[] {
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(`${where}: ${problem}`));
  const spec = cluster.named("StatefulSet", "latchkey")?.at("spec");
  const container = spec?.at("template", "spec", "containers", 0);
  if (spec === undefined || container === undefined) return [`${where}: the StatefulSet latchkey is missing`];
  const headless = cluster.named("Service", spec.at("serviceName").text);
  must(headless?.at("spec", "clusterIP").text === "None", "serviceName must be a headless Service");
  const names = Array.from({ length: spec.at("replicas").number }, (_, at) => `latchkey-${at}`);
  must([...nginx.replicas].sort().join() === names.join(), `the replicas must be those of nginx.conf: ${nginx.replicas.join(", ")}`);
  for (const name of names) {
    const service = cluster.named("Service", name)?.at("spec");
    must(service?.at("selector", "statefulset.kubernetes.io/pod-name").text === name, `the Service ${name} must select the pod ${name}`);
    must(service?.at("ports", 0, "port").number === image.port, `the Service ${name} must have the port ${image.port}`);
  }
  const mounts = container.at("volumeMounts").list();
  const claim = spec.at("volumeClaimTemplates", 0, "metadata", "name").text;
  const isOnDisk = mounts.some((mount) => mount.at("name").text === claim && mount.at("mountPath").text === image.dataDirectory);
  must(isOnDisk, `a claimed volume must be mounted at ${image.dataDirectory}`);
  const hasConfig = mounts.some((mount) => `${mount.at("mountPath").text}/latchkey.config.json` === image.configFile);
  must(hasConfig, `the configuration must be mounted at ${image.configFile}`);
  must(container.at("ports", 0, "containerPort").number === image.port, `the container's port must be that of the image, ${image.port}`);
  const { env, missing } = environment(cluster, container);
  problems.push(...missing);
  const { config, problems: wrong } = configOf(where, configText, env);
  problems.push(...wrong);
  if (config !== undefined) {
    must(config.server.replica === names[0], "server.replica must be the name of the pod");
    must(config.server.port === image.port, "the port of the configuration must be that of the image");
    must(config.store.journalDirectory?.startsWith(`${image.dataDirectory}/`) === true, "the journal must lie on the claimed volume");
  }
  const proxy = cluster.named("Deployment", "latchkey-nginx")?.at("spec", "template", "spec", "containers", 0);
  const proxyPorts =
    proxy
      ?.at("ports")
      .list()
      .map((port) => port.at("containerPort").number) ?? [];
  if (proxyPorts.join() !== [...nginx.ports, ...nginx.tlsPorts].join())
    problems.push("deploy/kubernetes/nginx.yaml: the ports must be those of nginx.conf");
  return problems;
}

/** The variables of the first pod. What the template of a Secret leaves empty has been filled in by somebody. */
function environment(
  cluster: Cluster,
  container: Tree,
): { readonly env: ReadonlyMap<string, string>; readonly missing: readonly string[] } {
  const env = new Map<string, string>();
  const missing: string[] = [];
  for (const source of container.at("envFrom").list()) {
    const [kind, name, values] = source.at("configMapRef").isThere
      ? ["ConfigMap", source.at("configMapRef", "name").text, "data"]
      : ["Secret", source.at("secretRef", "name").text, "stringData"];
    const found = cluster.named(kind, name);
    if (found === undefined) missing.push(`${where}: there is no ${kind} ${name}`);
    for (const [key, value] of found?.at(values).texts() ?? []) env.set(key, value === "" ? sampleOf(key) : value);
  }
  for (const variable of container.at("env").list()) {
    const isPodName = variable.at("valueFrom", "fieldRef", "fieldPath").text === "metadata.name";
    env.set(variable.at("name").text, isPodName ? "latchkey-0" : variable.at("value").text);
  }
  return { env, missing };
}
