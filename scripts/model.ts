// The model of the refresh protocol (test/model/refresh.pml), searched whole by Spin.
//   npm run model
import { checkModel, missingModelTool, modelChecks } from "../test/model/model-check.ts";

const missing = missingModelTool();
if (missing !== undefined) {
  console.error(`The model is checked by Spin and gcc, and there is no ${missing}: install it (Debian: apt-get install spin gcc).`);
  process.exit(2);
}
for (const check of modelChecks) {
  const { holds, states, output } = checkModel(check);
  const world = check.introspection ? "with trusted introspection" : "without introspection";
  console.log(`${holds ? "holds " : "BROKEN"}  ${check.property}, ${world}: ${states.toLocaleString("en")} states`);
  if (!holds) console.log(output);
  process.exitCode = holds ? process.exitCode : 1;
}
