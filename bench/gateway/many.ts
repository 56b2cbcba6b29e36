/** Very many routes, as many small applications would have them: each has a host and twelve routes below it. */
import type { Match } from "../../src/gateway/proxy/snapshot.route.ts";

export const PER_HOST = 12;

const shapes: readonly ((at: number) => Match)[] = [
  () => ({ path: { prefix: "/" } }),
  () => ({ path: { prefix: "/api" } }),
  () => ({ path: { prefix: "/api/v1/orders" } }),
  () => ({
    path: { prefix: "/api/v1/orders" },
    methods: ["POST"],
    headers: [{ name: "x-beta", equals: "1" }],
  }),
  () => ({ path: { template: "/api/v1/orders/{id}" } }),
  () => ({ path: { template: "/api/v1/orders/{id}/lines/{line}" } }),
  () => ({ path: { exact: "/health" } }),
  () => ({ path: { exact: "/api/v1/status" } }),
  (at) => ({ path: { prefix: `/static/${at}` } }),
  (at) => ({ path: { prefix: `/api/v2/service-${at}` } }),
  (at) => ({ path: { prefix: `/api/v2/service-${at}/admin` } }),
  () => ({ path: { template: "/files/{rest*}" } }),
];

/** Paths of requests: of every shape, and two that the widest route takes. */
export const paths = [
  "/",
  "/api/v1/orders",
  "/api/v1/orders/4711",
  "/api/v1/orders/4711/lines/3",
  "/health",
  "/api/v1/status",
  "/api/v1/customers/17/addresses",
  "/files/a/b/c.png",
  "/nothing/there/at/all",
];

export const hostOf = (at: number) => `app-${Math.floor(at / PER_HOST)}.example.com`;

export const matchOf = (at: number): Match => ({ host: hostOf(at), ...shapes[at % PER_HOST]!(at) });
