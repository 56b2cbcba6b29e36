/** What a trial is for who asks. */
import { type Static, Type } from "typebox";
import { versionNumber as version } from "./configs.schema.ts";
import { instanceId } from "./instances.schema.ts";

const instant = Type.String({ format: "date-time" });

export const trial = Type.Object(
  {
    id: Type.String(),
    version: Type.Union([version, Type.Null()], { description: "Null: a draft." }),
    draft: Type.Union([Type.Object({ author: Type.String(), revision: Type.Integer() }), Type.Null()]),
    status: Type.Enum(["asking", "done", "expired"], { description: "Done: everybody has answered." }),
    asked: Type.Integer({ description: "So many instances." }),
    accepted: Type.Integer(),
    rejected: Type.Integer(),
    answers: Type.Array(Type.Object({ instanceId, ok: Type.Boolean(), reason: Type.String() })),
    silent: Type.Array(instanceId, { description: "Those that have not answered." }),
    by: Type.String(),
    at: instant,
    expiresAt: instant,
  },
  { title: "ConfigTrial" },
);

export type Trial = Static<typeof trial>;
