import { relative } from "node:path";
import { faultIdOf } from "../../scripts/fault-outcomes.ts";
import { findTests } from "../support/e2e-test-names.ts";

const root = `${import.meta.dirname}/../..`;

/** The tests of this folder, and those with several replicas. */
export function faultTests() {
  return [...findTests(import.meta.dirname), ...findTests(`${import.meta.dirname}/../replicas`)];
}

/** Where the tests of each row are, as paths from the project's root; read from the sources, not by running them. */
export function faultFiles(): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>();
  for (const { file, name } of faultTests()) {
    const id = faultIdOf(name);
    if (id === undefined) continue;
    const path = relative(root, file);
    const known = files.get(id) ?? [];
    if (!known.includes(path)) known.push(path);
    files.set(id, known);
  }
  return files;
}
