import type { Surroundings } from "./compose.ts";
import { type Cluster, whereOf } from "./kubernetes-manifests.ts";
import { replicaProblems } from "./kubernetes-replicas.ts";
import { workloadProblems } from "./kubernetes-workload.ts";
import { selects } from "./tree.ts";

const apiVersions: Readonly<Record<string, string>> = {
  ConfigMap: "v1",
  Secret: "v1",
  Service: "v1",
  StatefulSet: "apps/v1",
  Deployment: "apps/v1",
  PodDisruptionBudget: "policy/v1",
  Ingress: "networking.k8s.io/v1",
};

/** What is wrong in the manifests. */
export function kubernetesProblems(cluster: Cluster, surroundings: Surroundings): readonly string[] {
  return [
    ...identityProblems(cluster),
    ...cluster.ofKind("StatefulSet", "Deployment").flatMap((manifest) => workloadProblems(cluster, manifest)),
    ...selectorProblems(cluster),
    ...ingressProblems(cluster),
    ...replicaProblems(cluster, surroundings),
  ];
}

function identityProblems({ manifests }: Cluster): readonly string[] {
  const seen = new Set<string>();
  return manifests.flatMap((manifest) => {
    const { object } = manifest;
    const kind = object.at("kind").text;
    const name = `${kind} ${object.at("metadata", "name").text}`;
    const twice = seen.has(name) ? [`${whereOf(manifest)} is there twice`] : [];
    seen.add(name);
    return apiVersions[kind] === object.at("apiVersion").text ? twice : [...twice, `${whereOf(manifest)}: kind and apiVersion do not fit`];
  });
}

/** The pods that there will be: their labels, and the names of their ports. */
function pods(cluster: Cluster): readonly { readonly labels: ReadonlyMap<string, string>; readonly ports: readonly string[] }[] {
  return cluster.ofKind("StatefulSet", "Deployment").flatMap(({ object }) => {
    const template = object.at("spec", "template");
    const labels = template.at("metadata", "labels").texts();
    const containers = template.at("spec", "containers").list();
    const ports = containers.flatMap((container) =>
      container
        .at("ports")
        .list()
        .map((port) => port.at("name").text),
    );
    if (object.at("kind").text === "Deployment") return [{ labels, ports }];
    const name = object.at("metadata", "name").text;
    return Array.from({ length: object.at("spec", "replicas").number }, (_, at) => ({
      labels: new Map([...labels, ["statefulset.kubernetes.io/pod-name", `${name}-${at}`]]),
      ports,
    }));
  });
}

function selectorProblems(cluster: Cluster): readonly string[] {
  const all = pods(cluster);
  const ofServices = cluster.ofKind("Service").flatMap((manifest) => {
    const selected = all.filter(({ labels }) => selects(manifest.object.at("spec", "selector"), labels));
    if (selected.length === 0) return [`${whereOf(manifest)}: its selector matches no pod`];
    const ports = manifest.object.at("spec", "ports").list();
    const missing = ports.map((port) => port.at("targetPort").text).filter((port) => !selected.some((pod) => pod.ports.includes(port)));
    return missing.map((port) => `${whereOf(manifest)}: the pods have no port ${port}`);
  });
  const ofBudgets = cluster.ofKind("PodDisruptionBudget").flatMap((manifest) => {
    const selector = manifest.object.at("spec", "selector", "matchLabels");
    return all.some(({ labels }) => selects(selector, labels)) ? [] : [`${whereOf(manifest)}: its selector matches no pod`];
  });
  return [...ofServices, ...ofBudgets];
}

function ingressProblems(cluster: Cluster): readonly string[] {
  return cluster.ofKind("Ingress").flatMap((manifest) =>
    manifest.object
      .at("spec", "rules")
      .list()
      .flatMap((rule) => {
        const host = rule.at("host").text === cluster.publicHost ? [] : [`${whereOf(manifest)}: the host must be ${cluster.publicHost}`];
        const missing = rule
          .at("http", "paths")
          .list()
          .map((path) => path.at("backend", "service"))
          .filter((service) => {
            const ports = cluster.named("Service", service.at("name").text)?.at("spec", "ports").list() ?? [];
            return !ports.some((port) => port.at("name").text === service.at("port", "name").text);
          });
        return [
          ...host,
          ...missing.map((service) => `${whereOf(manifest)}: there is no Service ${service.at("name").text} with that port`),
        ];
      }),
  );
}
