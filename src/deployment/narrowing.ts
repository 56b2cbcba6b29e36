/** Deployments as one resource, or as one of a kind below another prefix. */
import type { DeployableKind } from "./deployments.schema.ts";

export interface Narrowing {
  /** Of the paths, such as `/api/v1/gateway/deployments`. */
  prefix: string;
  /** Of the route ids, such as `gateway.deployments`. */
  id: string;
  /** Undefined: all kinds. */
  kind?: DeployableKind;
}

export const wholeResource: Narrowing = { prefix: "/api/v1/deployments", id: "deployments" };
