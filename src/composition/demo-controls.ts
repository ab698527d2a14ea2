import type { DemoAuthorizationServer } from "../demo/authorization-server.ts";
import { parseFaultSettings } from "../demo/faults.ts";
import { asLatchkeyError } from "../errors.ts";
import type { DemoControls } from "../http/web-services.ts";

/** The console's buttons for the demo's authorization server. */
export function demoControls(server: DemoAuthorizationServer): DemoControls {
  return {
    setFault: async (body) => {
      try {
        server.setFault(parseFaultSettings(body));
      } catch (thrown) {
        const { code, message, details } = asLatchkeyError(thrown);
        return { status: 400, body: { title: "Bad Request", status: 400, code, detail: message, ...details } };
      }
      return { status: 200, body: { faults: server.faults() } };
    },
    events: async () => ({ status: 200, body: { events: server.events() } }),
  };
}
