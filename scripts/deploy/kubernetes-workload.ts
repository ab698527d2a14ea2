import { drainSeconds } from "../../src/composition/http-server.ts";
import { healthPaths } from "../../src/http/health-routes.ts";
import { type Cluster, type Manifest, whereOf } from "./kubernetes-manifests.ts";
import { imageProblems, selects, type Tree } from "./tree.ts";

/** Made by hand, out of a certificate. */
const secretsByHand = ["latchkey-tls"];

/** What is wrong in a StatefulSet or a Deployment by itself. */
export function workloadProblems(cluster: Cluster, manifest: Manifest): readonly string[] {
  const where = whereOf(manifest);
  const spec = manifest.object.at("spec");
  const pod = spec.at("template", "spec");
  const problems: string[] = [];
  const must = (isSo: boolean, problem: string): void => void (isSo || problems.push(`${where}: ${problem}`));
  must(
    selects(spec.at("selector", "matchLabels"), spec.at("template", "metadata", "labels").texts()),
    "the selector must match the labels of its pods",
  );
  must(pod.at("securityContext", "runAsNonRoot").value === true, "runAsNonRoot must be true");
  must(pod.at("securityContext", "runAsUser").number > 0, "runAsUser must be a number, and not root");
  must(pod.at("terminationGracePeriodSeconds").number > 2 * drainSeconds + 5, "terminationGracePeriodSeconds must be more than it drains");
  for (const volume of pod.at("volumes").list()) {
    const configMap = volume.at("configMap", "name");
    must(!configMap.isThere || cluster.generated.has(configMap.text), `there is no ConfigMap ${configMap.text}`);
    const secret = volume.at("secret", "secretName");
    must(!secret.isThere || secretsByHand.includes(secret.text), `there is no Secret ${secret.text}`);
  }
  for (const container of pod.at("containers").list()) {
    problems.push(...imageProblems(where, container.at("image").text));
    must(container.at("securityContext", "allowPrivilegeEscalation").value === false, "allowPrivilegeEscalation must be false");
    must(container.at("securityContext", "readOnlyRootFilesystem").value === true, "readOnlyRootFilesystem must be true");
    must(container.at("resources", "requests").isThere && container.at("resources", "limits", "memory").isThere, "resources are missing");
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) probeProblem(cluster, container, probe, must);
    for (const mount of container.at("volumeMounts").list()) mountProblem(cluster, spec, mount, must);
  }
  return problems;
}

type Must = (isSo: boolean, problem: string) => void;

function probeProblem(cluster: Cluster, container: Tree, name: string, must: Must): void {
  const probe = container.at(name);
  const http = probe.at("httpGet");
  const port = http.isThere ? http.at("port") : probe.at("tcpSocket", "port");
  const ports = container
    .at("ports")
    .list()
    .map((each) => each.at("name").text);
  must(!probe.isThere || ports.includes(port.text), `${name} names the port ${port.text}, which is not there`);
  must(probe.isThere || name === "startupProbe", `${name} is missing`);
  if (!http.isThere) return;
  const path = name === "readinessProbe" ? healthPaths.ready : healthPaths.live;
  must(http.at("path").text === path, `${name} must ask ${path}`);
  const host = http
    .at("httpHeaders")
    .list()
    .find((header) => header.at("name").text === "Host");
  must(host?.at("value").text === cluster.publicHost, `${name} must bring the Host of LATCHKEY_PUBLIC_URL, ${cluster.publicHost}`);
}

function mountProblem(cluster: Cluster, spec: Tree, mount: Tree, must: Must): void {
  const name = mount.at("name").text;
  const volume = spec
    .at("template", "spec", "volumes")
    .list()
    .find((each) => each.at("name").text === name);
  const isClaimed = spec
    .at("volumeClaimTemplates")
    .list()
    .some((claim) => claim.at("metadata", "name").text === name);
  must(volume !== undefined || isClaimed, `the volume ${name} is not there`);
  const subPath = mount.at("subPath");
  const map = volume?.at("configMap", "name").text ?? "";
  must(!subPath.isThere || cluster.generated.get(map)?.includes(subPath.text) === true, `${map} has no file ${subPath.text}`);
}
