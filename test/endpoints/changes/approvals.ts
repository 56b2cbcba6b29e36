/** Requests for approvals, and decisions about them. */
import type { Caller } from "../../server.ts";
import { another, type Changes } from "./change.ts";

/** Another person's request, which `caller` may then decide about. */
async function asked(caller: Caller, resource: string): Promise<string> {
  const other = await another(caller);
  return (await other.ok(other.post("/approvals", { kind: "test.change", resource, content: 1 }))).id;
}

export const approvalChanges: Changes = {
  "approvals.request": {
    resource: /./,
    change: (caller, options) =>
      caller.post("/approvals", { kind: "test.change", resource: "x/1", content: { a: 1 } }, options),
  },
  "approvals.approve": {
    resource: /./,
    change: async (caller, options) =>
      caller.post(`/approvals/${await asked(caller, "x/2")}/approve`, {}, options),
  },
  "approvals.reject": {
    resource: /./,
    change: async (caller, options) =>
      caller.post(`/approvals/${await asked(caller, "x/3")}/reject`, { reason: "no" }, options),
  },
};
