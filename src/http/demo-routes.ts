import { readJsonObject } from "./request-body.ts";
import type { Route } from "./route.ts";
import { json } from "./route.ts";
import type { DemoControls } from "./web-services.ts";
import type { Windows } from "./windows.ts";

/** The demo's buttons: faults of the embedded authorization server, and what happened to tokens there. */
export function demoRoutes(demo: DemoControls, windows: Windows): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/api/demo/fault",
      handle: async (context) => {
        await windows.mustGetForChange(context);
        const { status, body } = await demo.setFault(await readJsonObject(context));
        return json(body, status);
      },
    },
    {
      method: "GET",
      path: "/api/demo/events",
      handle: async (context) => {
        await windows.mustGet(context);
        const { status, body } = await demo.events();
        return json(body, status);
      },
    },
  ];
}
