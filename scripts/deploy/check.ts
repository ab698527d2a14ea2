import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { composeProblems } from "./compose.ts";
import { readDockerfile } from "./dockerfile.ts";
import { kubernetesProblems } from "./kubernetes.ts";
import { Cluster, type Manifest } from "./kubernetes-manifests.ts";
import { readNginx } from "./nginx.ts";
import { Tree } from "./tree.ts";

/** What is wrong in deploy/: files that cannot be read, and what does not fit together. One line each. */
export function checkDeploy(root: string): readonly string[] {
  const directory = join(root, "deploy");
  if (!existsSync(directory)) return ["deploy/ is missing"];
  try {
    const read = (file: string): string => readFileSync(join(root, file), "utf8");
    const configText = read("deploy/latchkey.config.json");
    const { facts: image, problems: ofImage } = readDockerfile(root, read("deploy/Dockerfile"), read(".dockerignore"));
    const { facts: nginx, problems: ofNginx } = readNginx(read("deploy/nginx.conf"), image.port);
    const surroundings = { directory, configText, image, nginx };
    const [compose = new Tree(undefined)] = parse("deploy/compose.yaml", read("deploy/compose.yaml"));
    const [kustomization = new Tree(undefined)] = parse("deploy/kustomization.yaml", read("deploy/kustomization.yaml"));
    const files = globSync("deploy/kubernetes/*.yaml", { cwd: root }).sort();
    const manifests = files.flatMap((file): readonly Manifest[] => parse(file, read(file)).map((object) => ({ file, object })));
    const generated = new Map(
      kustomization
        .at("configMapGenerator")
        .list()
        .map(
          (map) =>
            [
              map.at("name").text,
              map
                .at("files")
                .list()
                .map(({ text }) => text),
            ] as const,
        ),
    );
    return [
      ...ofImage,
      ...ofNginx,
      ...composeProblems(compose, surroundings),
      ...kustomizationProblems(directory, kustomization, generated),
      ...kubernetesProblems(new Cluster(manifests, generated), surroundings),
    ];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Throws an Error that says where the YAML is none. */
function parse(file: string, text: string): readonly Tree[] {
  return parseAllDocuments(text, { merge: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${file}: ${problem.message}`);
    return new Tree(document.toJS());
  });
}

function kustomizationProblems(
  directory: string,
  kustomization: Tree,
  generated: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const resources = kustomization
    .at("resources")
    .list()
    .map(({ text }) => text);
  const missing = [...resources, ...[...generated.values()].flat()].filter((file) => !existsSync(join(directory, file)));
  const examples = resources.filter((file) => basename(file).includes(".example."));
  return [
    ...missing.map((file) => `deploy/kustomization.yaml: ${file} does not exist`),
    ...examples.map((file) => `deploy/kustomization.yaml: ${file} is a template: it must not be applied as it is`),
  ];
}
