import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkDeploy } from "../../scripts/deploy/check.ts";

const root = join(import.meta.dirname, "../..");
const needed = ["deploy", ".dockerignore", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "tsconfig.build.json"];
const alsoCopied = ["README.md", "LICENSE", "CHANGELOG.md", "bin"];
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "latchkey-deploy-"));
  for (const path of [...needed, ...alsoCopied]) cpSync(join(root, path), join(directory, path), { recursive: true });
  for (const folder of ["scripts", "src"]) writeFileSync(join(directory, folder), "");
});
afterEach(() => rmSync(directory, { recursive: true }));

function change(file: string, from: string, to: string): void {
  const path = join(directory, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
  writeFileSync(path, text.replace(from, to));
}

test("the project's deploy/ is right", () => {
  expect(checkDeploy(root)).toEqual([]);
  expect(checkDeploy(directory)).toEqual([]);
});

const latchkey = "deploy/kubernetes/latchkey.yaml";
const stateful = `${latchkey}: StatefulSet latchkey`;

describe("in deploy/, a planted mistake is caught: ", () => {
  test.each([
    ["YAML that is none", latchkey, "spec:\n", "spec: [\n", `${latchkey}: `],
    ["a key that is there twice", "deploy/compose.yaml", "  latchkey-1: {}", "  latchkey-0: {}", "deploy/compose.yaml: "],
    ["an image without a tag", "deploy/Dockerfile", "node:24-slim AS", "node AS", 'the image "node" must be named with a tag'],
    ["the latest image", "deploy/compose.yaml", "postgres:17-alpine", "postgres:latest", 'postgres: the image "postgres:latest"'],
    ["root", "deploy/Dockerfile", "USER 1000:1000", "USER root", "USER must be numbers"],
    ["no health check", "deploy/Dockerfile", "/health/live", "/healthz", "HEALTHCHECK must ask /health/live"],
    ["development dependencies", "deploy/Dockerfile", " --omit=dev", "", "npm ci --omit=dev"],
    ["a secret in a layer", "deploy/Dockerfile", "ENV NODE_ENV=production", "ENV CLIENT_SECRET=x", "a secret would stay in a layer"],
    ["a source that is not there", "deploy/Dockerfile", "COPY bin ./bin", "COPY lib ./lib", "COPY lib: there is no such file"],
    ["a source that the context lacks", ".dockerignore", "!bin\n", "", "COPY bin: .dockerignore leaves it out"],
    ["a setting that does not exist", "deploy/latchkey.config.json", '"replica"', '"replicas"', "server.replicas is no known setting"],
    ["a variable that nobody sets", "deploy/latchkey.config.json", "${LATCHKEY_ISSUER}", "${ISSUER}", "ISSUER"],
    [
      "a variable that nobody uses",
      "deploy/kubernetes/settings.yaml",
      "\ndata:\n",
      "\ndata:\n  PORT: x\n",
      "the configuration does not use PORT",
    ],
    ["another port", "deploy/latchkey.config.json", "8420", "8421", "the port of the configuration must be that of the image"],
    ["a brace too few", "deploy/nginx.conf", "events {", "events", "a brace or a semicolon is missing"],
    [
      "a replica that is not routed to",
      "deploy/nginx.conf",
      '"~\\.latchkey-2$"   latchkey_2;',
      "",
      "latchkey_any must have each replica of the map",
    ],
    [
      "a route to another replica",
      "deploy/nginx.conf",
      '"~\\.latchkey-1$"   latchkey_1;',
      '"~\\.latchkey-1$" latchkey_2;',
      "latchkey_2 must begin with latchkey-1:8420",
    ],
    ["a backup that is none", "deploy/nginx.conf", "latchkey-1:8420 backup", "latchkey-1:8420", "all but latchkey-0 must be backup"],
    ["buffered streams", "deploy/nginx.conf", "proxy_buffering    off", "proxy_buffering on", '"proxy_buffering off" is missing'],
    [
      "calls that may run twice",
      "deploy/nginx.conf",
      "error timeout;",
      "error timeout non_idempotent;",
      "a POST that was sent must not be sent again",
    ],
    ["codes in the access log", "deploy/nginx.conf", "$request_method $uri", "$request", "the access log must not have queries"],
    ["a replica without a disk", "deploy/compose.yaml", '"latchkey-1:/var', '"latchkey-0:/var', "latchkey-1 needs a volume of its own"],
    [
      "a replica under another's name",
      "deploy/compose.yaml",
      "LATCHKEY_REPLICA: latchkey-1",
      "LATCHKEY_REPLICA: latchkey-0",
      "latchkey-1 must have its own name",
    ],
    [
      "a replica that is published",
      "deploy/compose.yaml",
      "  latchkey-1:\n",
      '  latchkey-1:\n    ports: ["8420:8420"]\n',
      "latchkey-1 must not be published",
    ],
    ["too little time to stop", "deploy/compose.yaml", "stop_grace_period: 40s", "stop_grace_period: 10s", "must have more time to stop"],
    ["a foreign trusted proxy", "deploy/compose.yaml", "PROXIES: 172.31.84.2", "PROXIES: 172.31.84.0/24", "nginx, and nobody else"],
    [
      "a selector that matches nothing",
      latchkey,
      "matchLabels: { app.kubernetes.io/name: latchkey }",
      "matchLabels: { app: other }",
      `${stateful}: the selector must match`,
    ],
    ["a Service without pods", latchkey, "pod-name: latchkey-1", "pod-name: latchkey-7", "Service latchkey-1: its selector matches no pod"],
    ["a port that is not there", "deploy/kubernetes/nginx.yaml", "targetPort: https", "targetPort: tls", "the pods have no port tls"],
    ["a probe that asks elsewhere", latchkey, "/health/ready", "/ready", "readinessProbe must ask /health/ready"],
    ["a probe with another Host", latchkey, "value: latchkey.example.com", "value: localhost", "startupProbe must bring the Host"],
    ["too little time to end", latchkey, "GracePeriodSeconds: 40", "GracePeriodSeconds: 20", "must be more than it drains"],
    [
      "a file system that can be written",
      latchkey,
      "readOnlyRootFilesystem: true",
      "readOnlyRootFilesystem: false",
      "readOnlyRootFilesystem must be true",
    ],
    ["one replica more than nginx knows", latchkey, "replicas: 3", "replicas: 4", "the replicas must be those of nginx.conf"],
    ["a ConfigMap that is not there", "deploy/kustomization.yaml", "latchkey-nginx", "nginx", "there is no ConfigMap latchkey-nginx"],
    [
      "a resource that is not there",
      "deploy/kustomization.yaml",
      "kubernetes/nginx.yaml",
      "kubernetes/proxy.yaml",
      "kubernetes/proxy.yaml does not exist",
    ],
    [
      "a template that is applied",
      "deploy/kustomization.yaml",
      "kubernetes/nginx.yaml",
      "kubernetes/secret.example.yaml",
      "it must not be applied",
    ],
    ["an old API", "deploy/kubernetes/ingress.yaml", "networking.k8s.io/v1", "extensions/v1beta1", "kind and apiVersion do not fit"],
    [
      "an Ingress to nowhere",
      "deploy/kubernetes/ingress.yaml",
      "name: latchkey-nginx",
      "name: nginx",
      "there is no Service nginx with that port",
    ],
  ])("%s", (_name, file, from, to, problem) => {
    change(file, from, to);
    expect(checkDeploy(directory).join("\n")).toContain(problem);
  });
});

test("what the image is made of makes the package: nothing that the build reads is left out", () => {
  const allowed = readFileSync(join(root, ".dockerignore"), "utf8")
    .split("\n")
    .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []));
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const built = ["dist"];
  expect(manifest.files.filter((file: string) => !allowed.includes(file) && !built.includes(file))).toEqual([]);
});
