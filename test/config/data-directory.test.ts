import { expect, test } from "vitest";
import { dataDirectory } from "../../src/config/data-directory.ts";

test.each([
  ["linux", {}, "/home/ann/.local/share/latchkey"],
  ["linux", { XDG_DATA_HOME: "/data" }, "/data/latchkey"],
  ["linux", { XDG_DATA_HOME: "data" }, "/home/ann/.local/share/latchkey"],
  ["linux", { LATCHKEY_DATA_DIR: "/var/lib/latchkey", XDG_DATA_HOME: "/data" }, "/var/lib/latchkey"],
  ["linux", { LATCHKEY_DATA_DIR: "data" }, "/work/data"],
  ["linux", { LATCHKEY_DATA_DIR: "" }, "/home/ann/.local/share/latchkey"],
  ["darwin", { XDG_DATA_HOME: "/data" }, "/home/ann/Library/Application Support/latchkey"],
])("on %s with %j the data folder is %s", (platform, env, expected) => {
  expect(dataDirectory({ env, cwd: "/work", homeDirectory: "/home/ann", platform })).toBe(expected);
});

test("on Windows the data folder is in the user's local application data", () => {
  const surroundings = { cwd: "C:\\", homeDirectory: "C:\\Users\\ann", platform: "win32" };
  expect(dataDirectory({ ...surroundings, env: {} })).toBe("C:\\Users\\ann\\AppData\\Local\\latchkey\\Data");
  expect(dataDirectory({ ...surroundings, env: { LOCALAPPDATA: "D:\\Local" } })).toBe("D:\\Local\\latchkey\\Data");
});
