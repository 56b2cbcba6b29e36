/** Creates a route. */
import type { RouteSpec } from "../../../client/src/index.ts";
import { Page } from "../parts/page.tsx";
import { curl } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";
import { RouteEditor } from "./route-editor.tsx";
import { applying } from "./route-text.ts";

/** What a beginner changes and has a route that works. */
export const firstRoute: RouteSpec = {
  name: "orders",
  match: { path: { prefix: "/orders" } },
  strategy: "round-robin",
  backends: [{ url: "http://127.0.0.1:3000", weight: 1 }],
};

export function NewRoutePage() {
  return (
    <Page title="Create a route" within={["Routes", "routes"]}>
      <RouteEditor
        current={undefined}
        start={firstRoute}
        verb="Create route"
        save={(spec, dryRun) => hotswap().gateway.createRoute(spec, { dryRun })}
        onSaved={({ id }) => go("routes", id)}
        twinOf={(spec) => ({ cli: applying([spec]), curl: curl("POST", "/api/v1/gateway/routes", spec) })}
      />
    </Page>
  );
}
