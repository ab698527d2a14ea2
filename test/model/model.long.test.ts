import { describe, expect, test } from "vitest";
import { checkModel, missingModelTool, modelChecks } from "./model-check.ts";

const missing = missingModelTool();

describe("the model of the protocol, searched whole by Spin", () => {
  test.runIf(process.env["CI"] === "true")("is checked: spin and gcc are on the machine", () => expect(missing).toBeUndefined());

  test.skipIf(missing !== undefined).for(modelChecks)("holds $property, introspection: $introspection (I1 to I4, I9, I11)", (check) => {
    const { holds, states, output } = checkModel(check);
    expect(holds, output).toBe(true);
    expect(states).toBeGreaterThan(100_000);
  });

  test.skipIf(missing !== undefined)("finds what is wrong: without introspection a last presentation may be reuse (F4)", () => {
    expect(checkModel({ introspection: false, property: "no_reuse" }).holds).toBe(false);
  });
});
