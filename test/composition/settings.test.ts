import { expect, test } from "vitest";
import { authorizationServerPolicies, authorizationServerSettings } from "../../src/composition/settings.ts";
import { mustLoad, withServer } from "../config/loading.ts";

test.each([
  ["wait", "wait", false],
  ["user", "wait", true],
  ["revoke", "revoke", false],
])("sharedGrant %s: a logout does %s, and all logins of a user are one grant: %s (F23)", (sharedGrant, policy, oneGrantPerUser) => {
  const config = mustLoad(withServer({ sharedGrant }));
  expect(authorizationServerPolicies(config)).toMatchObject([{ sharedGrant: policy }]);
  expect(authorizationServerSettings(config)).toMatchObject([{ oneGrantPerUser }]);
});
