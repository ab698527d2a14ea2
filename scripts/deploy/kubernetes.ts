import { drainSeconds } from "../../src/composition/http-server.ts";
import { healthPaths } from "../../src/http/health-routes.ts";
import type { Surroundings } from "./compose.ts";
import { configOf, sampleOf } from "./config.ts";
import { imageProblems, selects, type Tree } from "./tree.ts";

/** One object of a manifest, and the file that it stands in. */
export interface Manifest {
  readonly file: string;
  readonly object: Tree;
}

const apiVersions: Readonly<Record<string, string>> = {
  ConfigMap: "v1",
  Secret: "v1",
  Service: "v1",
  StatefulSet: "apps/v1",
  Deployment: "apps/v1",
  PodDisruptionBudget: "policy/v1",
  Ingress: "networking.k8s.io/v1",
};

/** Made by hand, out of a certificate. */
const secretsByHand = ["latchkey-tls"];

interface Pods {
  readonly where: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly containers: readonly Tree[];
}

/** What is wrong in the manifests. `generated` are the ConfigMaps that kustomize makes, with their files. */
export function kubernetesProblems(
  manifests: readonly Manifest[],
  generated: ReadonlyMap<string, readonly string[]>,
  { configText, image, nginx }: Surroundings,
): readonly string[] {
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(problem));
  const ofKind = (...kinds: readonly string[]): readonly Manifest[] =>
    manifests.filter(({ object }) => kinds.includes(object.at("kind").text));
  const named = (kind: string, name: string): Tree | undefined =>
    ofKind(kind).find(({ object }) => object.at("metadata", "name").text === name)?.object;
  const whereOf = ({ file, object }: Manifest): string => `${file}: ${object.at("kind").text} ${object.at("metadata", "name").text}`;

  const seen = new Set<string>();
  for (const manifest of manifests) {
    const kind = manifest.object.at("kind").text;
    must(apiVersions[kind] === manifest.object.at("apiVersion").text, `${whereOf(manifest)}: kind and apiVersion do not fit`);
    must(!seen.has(`${kind} ${manifest.object.at("metadata", "name").text}`), `${whereOf(manifest)} is there twice`);
    seen.add(`${kind} ${manifest.object.at("metadata", "name").text}`);
  }

  const pods: Pods[] = [];
  const settings = named("ConfigMap", "latchkey-settings")?.at("data").texts() ?? new Map<string, string>();
  const publicHost = URL.parse(settings.get("LATCHKEY_PUBLIC_URL") ?? "")?.host ?? "";
  for (const manifest of ofKind("StatefulSet", "Deployment")) {
    const where = whereOf(manifest);
    const { object } = manifest;
    const template = object.at("spec", "template");
    const labels = template.at("metadata", "labels").texts();
    const containers = template.at("spec", "containers").list();
    must(selects(object.at("spec", "selector", "matchLabels"), labels), `${where}: the selector must match the labels of its pods`);
    must(
      template.at("spec", "securityContext", "runAsNonRoot").value === true &&
        template.at("spec", "securityContext", "runAsUser").number > 0,
      `${where}: runAsNonRoot, with a number`,
    );
    must(
      template.at("spec", "terminationGracePeriodSeconds").number > 2 * drainSeconds + 5,
      `${where}: terminationGracePeriodSeconds must be more than it drains`,
    );
    const volumes = template.at("spec", "volumes").list();
    const claims = object
      .at("spec", "volumeClaimTemplates")
      .list()
      .map((claim) => claim.at("metadata", "name").text);
    for (const volume of volumes) {
      const configMap = volume.at("configMap", "name");
      if (configMap.isThere) must(generated.has(configMap.text), `${where}: there is no ConfigMap ${configMap.text}`);
      const secret = volume.at("secret", "secretName");
      if (secret.isThere) must(secretsByHand.includes(secret.text), `${where}: there is no Secret ${secret.text}`);
    }
    for (const container of containers) {
      problems.push(...imageProblems(where, container.at("image").text));
      must(container.at("securityContext", "allowPrivilegeEscalation").value === false, `${where}: allowPrivilegeEscalation must be false`);
      must(container.at("securityContext", "readOnlyRootFilesystem").value === true, `${where}: readOnlyRootFilesystem must be true`);
      must(
        container.at("resources", "limits", "memory").isThere && container.at("resources", "requests").isThere,
        `${where}: resources are missing`,
      );
      const ports = container
        .at("ports")
        .list()
        .map((port) => port.at("name").text);
      for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
        const http = container.at(probe, "httpGet");
        if (http.isThere) {
          const path = probe === "readinessProbe" ? healthPaths.ready : healthPaths.live;
          must(http.at("path").text === path, `${where}: ${probe} must ask ${path}`);
          const host = http
            .at("httpHeaders")
            .list()
            .find((header) => header.at("name").text === "Host");
          must(host?.at("value").text === publicHost, `${where}: ${probe} must bring the Host of LATCHKEY_PUBLIC_URL, ${publicHost}`);
        }
        const port = http.isThere ? http.at("port") : container.at(probe, "tcpSocket", "port");
        if (port.isThere) must(ports.includes(port.text), `${where}: ${probe} names the port ${port.text}, which is not there`);
      }
      for (const mount of container.at("volumeMounts").list()) {
        const name = mount.at("name").text;
        must(
          claims.includes(name) || volumes.some((volume) => volume.at("name").text === name),
          `${where}: the volume ${name} is not there`,
        );
        const map = volumes.find((volume) => volume.at("name").text === name)?.at("configMap", "name").text ?? "";
        const subPath = mount.at("subPath");
        if (subPath.isThere) must(generated.get(map)?.includes(subPath.text) === true, `${where}: ${map} has no file ${subPath.text}`);
      }
    }
    const replicas = object.at("kind").text === "StatefulSet" ? object.at("spec", "replicas").number : 0;
    const name = object.at("metadata", "name").text;
    if (replicas === 0) pods.push({ where, labels, containers });
    for (let at = 0; at < replicas; at += 1)
      pods.push({ where, labels: new Map([...labels, ["statefulset.kubernetes.io/pod-name", `${name}-${at}`]]), containers });
  }

  for (const manifest of ofKind("Service")) {
    const where = whereOf(manifest);
    const selected = pods.filter(({ labels }) => selects(manifest.object.at("spec", "selector"), labels));
    must(selected.length > 0, `${where}: its selector matches no pod`);
    const available = selected.flatMap(({ containers }) => containers.flatMap((container) => container.at("ports").list()));
    for (const port of manifest.object.at("spec", "ports").list())
      must(
        available.some((each) => each.at("name").text === port.at("targetPort").text),
        `${where}: the pods have no port ${port.at("targetPort").text}`,
      );
  }
  for (const manifest of ofKind("PodDisruptionBudget"))
    must(
      pods.some(({ labels }) => selects(manifest.object.at("spec", "selector", "matchLabels"), labels)),
      `${whereOf(manifest)}: its selector matches no pod`,
    );
  for (const manifest of ofKind("Ingress")) {
    const where = whereOf(manifest);
    for (const rule of manifest.object.at("spec", "rules").list()) {
      must(rule.at("host").text === publicHost, `${where}: the host must be that of LATCHKEY_PUBLIC_URL, ${publicHost}`);
      for (const path of rule.at("http", "paths").list()) {
        const service = path.at("backend", "service");
        const ports = named("Service", service.at("name").text)?.at("spec", "ports").list() ?? [];
        must(
          ports.some((port) => port.at("name").text === service.at("port", "name").text),
          `${where}: there is no Service ${service.at("name").text} with that port`,
        );
      }
    }
  }

  const latchkey = named("StatefulSet", "latchkey");
  const where = "deploy/kubernetes/latchkey.yaml";
  const container = latchkey?.at("spec", "template", "spec", "containers", 0);
  if (latchkey === undefined || container === undefined) return [...problems, `${where}: the StatefulSet latchkey is missing`];
  const headless = named("Service", latchkey.at("spec", "serviceName").text);
  must(headless?.at("spec", "clusterIP").text === "None", `${where}: serviceName must be a headless Service`);
  const names = Array.from({ length: latchkey.at("spec", "replicas").number }, (_, at) => `latchkey-${at}`);
  must(
    [...nginx.replicas].sort().join() === names.join(),
    `${where}: the replicas must be those of nginx.conf: ${nginx.replicas.join(", ")}`,
  );
  for (const name of names) {
    const service = named("Service", name);
    must(
      service?.at("spec", "selector", "statefulset.kubernetes.io/pod-name").text === name,
      `${where}: the Service ${name} must select the pod ${name}`,
    );
    must(service?.at("spec", "ports", 0, "port").number === image.port, `${where}: the Service ${name} must have the port ${image.port}`);
  }
  const mounts = container.at("volumeMounts").list();
  const claim = latchkey.at("spec", "volumeClaimTemplates", 0, "metadata", "name").text;
  must(
    mounts.some((mount) => mount.at("name").text === claim && mount.at("mountPath").text === image.dataDirectory),
    `${where}: a claimed volume must be mounted at ${image.dataDirectory}`,
  );
  must(
    mounts.some((mount) => image.configFile === `${mount.at("mountPath").text}/latchkey.config.json`),
    `${where}: the configuration must be mounted where the image looks for it`,
  );
  must(
    container.at("ports", 0, "containerPort").number === image.port,
    `${where}: the container's port must be that of the image, ${image.port}`,
  );

  const env = new Map<string, string>();
  for (const source of container.at("envFrom").list()) {
    const map = source.at("configMapRef", "name");
    const secret = source.at("secretRef", "name");
    const found = map.isThere ? named("ConfigMap", map.text)?.at("data") : named("Secret", secret.text)?.at("stringData");
    must(found !== undefined, `${where}: there is no ${map.isThere ? `ConfigMap ${map.text}` : `Secret ${secret.text}`}`);
    for (const [name, value] of found?.texts() ?? []) env.set(name, value === "" ? sampleOf(name) : value);
  }
  for (const variable of container.at("env").list())
    env.set(
      variable.at("name").text,
      variable.at("valueFrom", "fieldRef", "fieldPath").text === "metadata.name" ? "latchkey-0" : variable.at("value").text,
    );
  const { config, problems: wrong } = configOf(where, configText, env);
  problems.push(...wrong);
  if (config !== undefined) {
    must(config.server.replica === "latchkey-0", `${where}: server.replica must be the name of the pod`);
    must(config.server.port === image.port, `${where}: the port of the configuration must be that of the image`);
    must(
      config.store.journalDirectory?.startsWith(`${image.dataDirectory}/`) === true,
      `${where}: the journal must lie on the claimed volume`,
    );
  }
  const proxyPorts = named("Deployment", "latchkey-nginx")?.at("spec", "template", "spec", "containers", 0, "ports").list() ?? [];
  must(
    proxyPorts.map((port) => port.at("containerPort").number).join() === [...nginx.ports, ...nginx.tlsPorts].join(),
    "deploy/kubernetes/nginx.yaml: the ports must be those of nginx.conf",
  );
  return problems;
}
