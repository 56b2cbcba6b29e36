/** /api/v1/configs/{name}/pins: versions that instances with certain labels have by hand. */
import { Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { actorOf, dryRunQuery } from "../platform/http/change.ts";
import { type Route, route } from "../platform/http/route.ts";
import { configName, versionNumber as version } from "./configs.schema.ts";
import type { Labels, PinRow } from "./delivery.tables.ts";
import { labels } from "./instances.schema.ts";
import type { Pins } from "./pins.ts";

const byName = Type.Object({ name: configName });
const reason = Type.String({ maxLength: 500, default: "" });

const pins = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        labels,
        version,
        reason,
        by: Type.String(),
        at: Type.String({ format: "date-time" }),
      }),
      { description: "The most specific first: of several that fit an instance, the first counts." },
    ),
  },
  { title: "ConfigPins" },
);

export function pinRoutes(all: Pins): Route[] {
  return [
    route({
      id: "configuration.pins.list",
      method: "GET",
      path: "/api/v1/configs/{name}/pins",
      summary: "List the pins of a configuration",
      permission: "configs.read",
      checksResource: true,
      audit: { none: "reads only" },
      params: byName,
      response: pins,
      errors: ["config_not_found"],
      handler: async ({ principal, params }) => toPins(await all.list(principal, params.name)),
    }),
    route({
      id: "configuration.pins.set",
      method: "PUT",
      path: "/api/v1/configs/{name}/pins",
      summary: "Pin instances with certain labels to a version",
      description:
        "At once, and whatever is deployed: pinned instances are no units of a deployment. A pin of the same labels " +
        "is replaced.",
      permission: "configs.pin",
      checksResource: true,
      audit: { action: "config.pin" },
      params: byName,
      query: dryRunQuery,
      body: Type.Object({ labels, version, reason: Type.Optional(reason) }, { additionalProperties: false }),
      response: pins,
      errors: ["config_not_found", "config_version_not_found", "config_version_unreleased"],
      handler: async (context) => {
        const { labels, version, reason = "" } = context.body;
        return toPins(await all.set(actorOf(context), context.params.name, { labels, version, reason }));
      },
    }),
    route({
      id: "configuration.pins.remove",
      method: "DELETE",
      path: "/api/v1/configs/{name}/pins",
      summary: "Take pins away",
      description: "The pin of exactly these labels, or all of them.",
      permission: "configs.pin",
      checksResource: true,
      audit: { action: "config.unpin" },
      params: byName,
      query: Type.Object(
        {
          ...dryRunQuery.properties,
          labels: Type.Optional(
            Type.String({
              maxLength: 4_096,
              description: "As `name=value`, several with commas between them.",
            }),
          ),
        },
        { additionalProperties: false },
      ),
      response: pins,
      errors: ["config_not_found", "config_pin_not_found"],
      handler: async (context) => {
        const { labels } = context.query;
        const given = labels === undefined ? undefined : toLabels(labels);
        return toPins(await all.remove(actorOf(context), context.params.name, given));
      },
    }),
  ];
}

function toPins(rows: readonly PinRow[]) {
  const items = rows.map(({ labels, version, reason, subject, created_at }) => {
    return { labels, version, reason, by: subject, at: created_at.toISOString() };
  });
  return { items };
}

function toLabels(text: string): Labels {
  const pairs = text.split(",").map((pair) => {
    const [name, ...value] = pair.split("=");
    if (name && value.length > 0) return [name, value.join("=")];
    const message = "must be name=value, several with commas between them";
    throw new HotSwapError("validation_failed", `query/labels ${message}.`, {
      fields: [{ pointer: "query/labels", message }],
    });
  });
  return Object.fromEntries(pairs);
}
