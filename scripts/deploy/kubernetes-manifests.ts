import type { Tree } from "./tree.ts";

/** One object of a manifest, and the file that it stands in. */
export interface Manifest {
  readonly file: string;
  readonly object: Tree;
}

/** All objects, and the ConfigMaps that kustomize makes, with their files. */
export class Cluster {
  readonly manifests: readonly Manifest[];
  readonly generated: ReadonlyMap<string, readonly string[]>;

  constructor(manifests: readonly Manifest[], generated: ReadonlyMap<string, readonly string[]>) {
    this.manifests = manifests;
    this.generated = generated;
  }

  ofKind(...kinds: readonly string[]): readonly Manifest[] {
    return this.manifests.filter(({ object }) => kinds.includes(object.at("kind").text));
  }

  named(kind: string, name: string): Tree | undefined {
    return this.ofKind(kind).find(({ object }) => object.at("metadata", "name").text === name)?.object;
  }

  /** The host that users and clients know. */
  get publicHost(): string {
    return URL.parse(this.named("ConfigMap", "latchkey-settings")?.at("data", "LATCHKEY_PUBLIC_URL").text ?? "")?.host ?? "";
  }
}

export function whereOf({ file, object }: Manifest): string {
  return `${file}: ${object.at("kind").text} ${object.at("metadata", "name").text}`;
}
