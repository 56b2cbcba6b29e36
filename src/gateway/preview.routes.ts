/** /api/v1/gateway/routes/preview */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { type Route, route } from "../platform/http/route.ts";
import type { AnalysedRoute } from "./analysis.ts";
import { routeName } from "./fields.schema.ts";
import { effects, preview } from "./preview.ts";
import type { Requests } from "./requests.ts";
import { editedSpec } from "./route-change.ts";
import { routeSpec } from "./routes.schema.ts";
import { checkSet } from "./sets.ts";

export interface PreviewParts {
  requests: Requests;
  served: { routesOf(tenant: string): ReadonlyMap<string, AnalysedRoute> };
  /** Of a set. */
  setBytes: number;
}

const nameOrNull = Type.Union([routeName, Type.Null()]);
const count = Type.Integer({ minimum: 0 });

const previewBody = Type.Object(
  {
    routes: Type.Optional(Type.Array(routeSpec, { description: "A route set, as an import has it." })),
    mode: Type.Optional(
      Type.Enum(["replace", "merge"], {
        description: "Of a set; default replace, which removes what it leaves out.",
      }),
    ),
    revision: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "Of an export; not looked at.",
      }),
    ),
    route: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: "One route: its id or name." }),
    ),
    change: Type.Optional(
      Type.Object({}, { description: "Its new fields as a JSON merge patch, as a deployment has them." }),
    ),
  },
  { additionalProperties: false, description: "Either `routes`, or `route` and `change`." },
);

const previewed = Type.Object({
  requests: {
    ...count,
    description: "The last that this node has kept; of much traffic a part.",
  } as typeof count,
  unchanged: count,
  undecided: {
    ...count,
    description:
      "Those for which a header field or the query would decide, which are not kept, or whose route is gone.",
  } as typeof count,
  groups: Type.Array(
    Type.Object({
      from: nameOrNull,
      to: nameOrNull,
      effects: Type.Array(Type.Enum([...effects])),
      count,
      examples: Type.Array(
        Type.Object({
          method: Type.String(),
          host: Type.String(),
          path: Type.String(),
          requestId: Type.String(),
        }),
      ),
    }),
    { description: "Requests that would be served otherwise, most frequent first; null is no route." },
  ),
});

const recordsMax = 20_000;

export function previewRoutes({ requests, served, setBytes }: PreviewParts): Route[] {
  return [
    route({
      id: "gateway.routes.preview",
      method: "POST",
      path: "/api/v1/gateway/routes/preview",
      summary: "Say which of the last requests a change of routes would touch",
      description:
        "Replays the requests that this node has kept against the routes as they are and as they would be. Changes nothing.",
      permission: "gateway.read",
      audit: { none: "changes nothing" },
      body: previewBody,
      bodyLimit: setBytes,
      response: previewed,
      errors: ["gateway_route_not_found", "gateway_set_invalid"],
      handler: async ({ principal: { tenant }, body }) => {
        const before = served.routesOf(tenant);
        const after = changed(before, body);
        return preview(before.values(), after, await requests.recent(tenant, recordsMax, recordsMax));
      },
    }),
  ];
}

interface Wanted {
  routes?: readonly unknown[];
  mode?: string;
  route?: string;
  change?: object;
}

function changed(before: ReadonlyMap<string, AnalysedRoute>, wanted: Wanted): AnalysedRoute[] {
  const { routes, mode = "replace", route: named, change } = wanted;
  const isOne = named !== undefined && change !== undefined;
  if (isOne === (routes !== undefined)) {
    const fields = [{ pointer: "", message: "must have either routes, or route and change" }];
    throw new HotSwapError("validation_failed", "Send either routes, or route and change.", { fields });
  }
  const all = [...before.values()];
  if (isOne) {
    const found = before.get(named) ?? all.find(({ spec }) => spec.name === named);
    if (!found) throw new HotSwapError("gateway_route_not_found", "There is no route with this id or name.");
    return all.map((one) => (one === found ? { id: one.id, spec: editedSpec(one.spec, change) } : one));
  }
  const specs = checkSet(routes!);
  const idOf = new Map(all.map(({ id, spec }) => [spec.name, id]));
  const names = new Set(specs.map(({ name }) => name));
  const kept = mode === "merge" ? all.filter(({ spec }) => !names.has(spec.name)) : [];
  // New ones are younger than all others, and ids are in order of time.
  return [...kept, ...specs.map((spec) => ({ id: idOf.get(spec.name) ?? `~${spec.name}`, spec }))];
}
