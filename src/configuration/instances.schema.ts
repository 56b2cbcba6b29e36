/** What instances of services send and get. */
import { type Static, Type } from "typebox";
import { configName, environmentName, serviceName, versionNumber as version } from "./configs.schema.ts";

const closed = { additionalProperties: false } as const;

export const instanceId = Type.String({
  title: "InstanceId",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$",
  description: "Of the caller's choice, and the same over restarts: the name of a host or a pod.",
});
const reason = Type.String({ maxLength: 1_000 });

export const labels = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$" }),
  Type.String({ maxLength: 128 }),
  { maxProperties: 32, ...closed },
);

export const newInstance = Type.Object(
  {
    instanceId,
    service: serviceName,
    environment: environmentName,
    labels: Type.Optional(labels),
    process: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          "Another one for each start of the process. When it changes soon after a version was applied, the " +
          "instance counts as one that ended under it.",
      }),
    ),
  },
  closed,
);
export type NewInstance = Static<typeof newInstance>;

const counted = Type.Integer({ minimum: 0, maximum: 1_000_000_000_000 });

export const heartbeat = Type.Object(
  {
    applied: Type.Optional(
      Type.Array(
        Type.Object(
          {
            config: configName,
            version: Type.Union([version, Type.Null()], { description: "Null: it runs none." }),
            status: Type.Enum(["applied", "rejected"]),
            reason: Type.Optional(reason),
          },
          closed,
        ),
        { maxItems: 200, description: "All that the instance runs, and what it refused." },
      ),
    ),
    metrics: Type.Optional(
      Type.Object(
        {
          requests: counted,
          errors: counted,
          slow: Type.Optional(counted),
          custom: Type.Optional(
            Type.Record(Type.String({ pattern: "^[A-Za-z][A-Za-z0-9_.-]{0,62}$" }), counted, {
              maxProperties: 20,
              ...closed,
            }),
          ),
        },
        { ...closed, description: "Counts since the last heartbeat." },
      ),
    ),
    trials: Type.Optional(
      Type.Array(
        Type.Object(
          { id: Type.String({ maxLength: 64 }), ok: Type.Boolean(), reason: Type.Optional(reason) },
          closed,
        ),
        { maxItems: 50, description: "Answers to trials: whether the instance would apply the version." },
      ),
    ),
  },
  closed,
);
export type Heartbeat = Static<typeof heartbeat>;

const wanted = Type.Object({
  config: configName,
  version: Type.Union([version, Type.Null()], { description: "Null: none any more." }),
  hash: Type.Union([Type.String(), Type.Null()]),
  revision: Type.Integer({
    description: "Grows with every change of what instances of the service should have.",
  }),
  deployment: Type.Union([Type.String(), Type.Null()], {
    description: "That brings the version out; a version that was refused is tried again by another one.",
  }),
  traceparent: Type.Optional(
    Type.String({
      description:
        "W3C Trace Context of the deployment's step or way back, for a span of the instance's own.",
    }),
  ),
});
export type Desired = Static<typeof wanted>;

export const answer = Type.Object({
  configs: Type.Array(wanted, { description: "What the instance should have now." }),
  trials: Type.Array(
    Type.Object({
      ...{ id: Type.String(), config: configName, hash: Type.String() },
      version: Type.Union([version, Type.Null()], { description: "Null: a draft." }),
    }),
    { description: "What it is asked to look at without applying it." },
  ),
  heartbeatSeconds: Type.Number({
    description: "How long to wait until the next heartbeat. Shorter when a deployment waits for it.",
  }),
});

export const registered = Type.Object({
  instanceId,
  service: serviceName,
  environment: environmentName,
  labels,
  registeredAt: Type.String({ format: "date-time" }),
  ...answer.properties,
});

export const instance = Type.Object(
  {
    instanceId,
    service: serviceName,
    environment: environmentName,
    labels,
    status: Type.Enum(["live", "silent"], { description: "Silent: three heartbeats are missing." }),
    registeredAt: Type.String({ format: "date-time" }),
    seenAt: Type.String({ format: "date-time" }),
    configs: Type.Array(
      Type.Object({
        config: configName,
        desired: Type.Union([version, Type.Null()], { description: "What it should have." }),
        running: Type.Union([version, Type.Null()], { description: "What it says that it runs." }),
        appliedAt: Type.Union([Type.String({ format: "date-time" }), Type.Null()]),
        status: Type.Enum(["applied", "pending", "rejected"]),
        rejected: Type.Optional(
          Type.Object({ version, reason: Type.String(), at: Type.String({ format: "date-time" }) }),
        ),
      }),
    ),
  },
  { title: "Instance" },
);

export const listQuery = {
  service: Type.Optional(serviceName),
  environment: Type.Optional(environmentName),
  config: Type.Optional(configName),
  version: Type.Optional(version),
  status: Type.Optional(Type.Enum(["live", "silent", "applied", "rejected"])),
};

export const delivered = Type.Object({
  config: configName,
  version: Type.Union([version, Type.Null()], { description: "Null: a draft that a trial is of." }),
  hash: Type.String(),
  revision: Type.Integer(),
  format: Type.String(),
  value: Type.Unknown({ description: "The document, with secrets in their places." }),
});
