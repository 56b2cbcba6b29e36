/** Changes of schemas, by our API and by that of the Confluent registry. */
import type { Caller } from "../../server.ts";
import { another, type Changes } from "./change.ts";

const closed = (name: string) => ({
  properties: { [name]: { type: "string" } },
  additionalProperties: false,
});

/** Of this schema, registered by another person unless it is there already. */
async function schemaId(caller: Caller, subject: string, name: string): Promise<string> {
  const other = await another(caller);
  return (await other.ok(other.post("/schemas", { subject, schema: closed(name) }))).id;
}

export const schemaChanges: Changes = {
  "schemas.register": {
    resource: /^schemas\/audited\/1$/,
    change: (caller, options) =>
      caller.post("/schemas", { subject: "audited", schema: closed("a") }, options),
  },
  "schemas.submit": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId(caller, "audited", "a")}/submit`, undefined, options),
  },
  "schemas.approve": {
    resource: /^schemas\/audited\/2$/,
    also: ["approvals.approve", "approvals.use"],
    change: async (caller, options) => {
      const id = await schemaId(caller, "audited", "b"); // breaks the first
      const other = await another(caller);
      await other.ok(other.post(`/schemas/${id}/submit`));
      return caller.post(`/schemas/${id}/approve`, {}, options);
    },
  },
  "schemas.deprecate": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId(caller, "audited", "a")}/deprecate`, {}, options),
  },
  "schemas.retire": {
    resource: /^schemas\/audited\/1$/,
    change: async (caller, options) =>
      caller.post(`/schemas/${await schemaId(caller, "audited", "a")}/retire`, {}, options),
  },
  "schemas.registry.register": {
    resource: /^schemas\/registry\/1$/,
    change: (caller, options) =>
      caller.post("//subjects/registry/versions", { schema: "{}", schemaType: "JSON" }, options),
  },
  "schemas.registry.deleteVersion": {
    resource: /^schemas\/registry\/1$/,
    change: (caller, options) => caller.delete("//subjects/registry/versions/1", options),
  },
  "schemas.registry.deleteSubject": {
    resource: /^schemas\/registry\/2$/,
    change: async (caller, options) => {
      const other = await another(caller);
      await other.ok(other.post("//subjects/registry/versions", { schema: "{}", schemaType: "JSON" }));
      return caller.delete("//subjects/registry", options);
    },
  },
  "schemas.registry.setLevel": {
    resource: /^schema-subjects$/,
    change: (caller, options) => caller.put("//config", { compatibility: "BACKWARD" }, options),
  },
  "schemas.registry.setSubjectLevel": {
    resource: /^schema-subjects\/registry$/,
    change: (caller, options) => caller.put("//config/registry", { compatibility: "FULL" }, options),
  },
  "schemas.registry.removeSubjectLevel": {
    resource: /^schema-subjects\/registry$/,
    change: (caller, options) => caller.delete("//config/registry", options),
  },
  "schemas.subjects.configure": {
    resource: /^schema-subjects\/audited$/,
    change: (caller, options) => caller.put("/schema-subjects/audited", { compatibility: "full" }, options),
  },
};
