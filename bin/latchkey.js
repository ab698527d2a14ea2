#!/usr/bin/env node
// Old syntax only, and no static import: this file must run on any Node, if only to say which one to install.
/* global process */
(function start() {
  var lowest = [22, 19];
  var parts = process.versions.node.split(".").map(Number);
  var isTooOld = parts[0] < lowest[0] || (parts[0] === lowest[0] && parts[1] < lowest[1]);

  Promise.all([import("node:fs"), import("node:url"), import("node:module")]).then(function load(modules) {
    var fs = modules[0];
    var url = modules[1];
    var module = modules[2];
    var path = function path(relative) {
      return url.fileURLToPath(new URL(relative, import.meta.url));
    };
    if (isTooOld) return restart(fs, path);
    if (module.enableCompileCache) module.enableCompileCache();
    hideSqliteWarning();
    var source = path("../src/main.ts");
    var bundle = path("../dist/command/main.js");
    return import(url.pathToFileURL(isFresh(fs, bundle, path("../src")) ? bundle : source).href);
  }, complain);

  // A package has the bundle alone. A clone has the source as well, and perhaps a bundle of last week.
  function isFresh(fs, bundle, sources) {
    if (!fs.existsSync(sources)) return true;
    var made = fs.statSync(bundle, { throwIfNoEntry: false });
    return made !== undefined && newest(fs, sources) <= made.mtimeMs;
  }

  // Folders count as well: their time tells of a file that was renamed or removed.
  function newest(fs, folder) {
    return fs.readdirSync(folder, { withFileTypes: true }).reduce(function later(time, entry) {
      var path = folder + "/" + entry.name;
      return Math.max(time, entry.isDirectory() ? newest(fs, path) : fs.statSync(path).mtimeMs);
    }, fs.statSync(folder).mtimeMs);
  }

  // Node 22 calls its SQLite experimental, on stderr, where log lines are expected.
  function hideSqliteWarning() {
    var listeners = process.listeners("warning");
    process.removeAllListeners("warning");
    process.on("warning", function pass(warning) {
      if (warning.name === "ExperimentalWarning" && /^SQLite /.test(warning.message)) return;
      listeners.forEach(function tell(listener) {
        listener.call(process, warning);
      });
    });
  }

  // A clone brings a Node of its own as a development dependency: MCP clients start this file with the system's.
  function restart(fs, path) {
    var own = ["../node_modules/node/bin/node", "../node_modules/node/bin/node.exe"].map(path).filter(fs.existsSync)[0];
    if (own === undefined || process.env.LATCHKEY_RESTARTED === "1") return complain();
    return import("node:child_process").then(function run(childProcess) {
      var env = Object.assign({}, process.env, { LATCHKEY_RESTARTED: "1" });
      var child = childProcess.spawn(own, [path("./latchkey.js")].concat(process.argv.slice(2)), { stdio: "inherit", env: env });
      // A terminal sends Ctrl-C to both processes; passed on, it would count as the second one, which exits at once.
      var isTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
      ["SIGTERM", "SIGINT", "SIGHUP"].forEach(function forward(signal) {
        process.on(signal, function pass() {
          if (signal !== "SIGINT" || !isTerminal) child.kill(signal);
        });
      });
      child.on("error", complain);
      child.on("exit", function end(code) {
        process.exit(code === null ? 1 : code);
      });
    });
  }

  function complain() {
    process.stderr.write(
      "latchkey needs Node.js " +
        lowest.join(".") +
        " or newer, and this is " +
        process.versions.node +
        ".\n" +
        "Install a current one from https://nodejs.org, or with your version manager (nvm install 24).\n" +
        "In a clone, npm ci brings one along; npm start and npx latchkey use it.\n",
    );
    process.exit(2);
  }
})();
