/**
 * The data plane as the rest of the gateway sees it: starts workers, hands them what changed between two
 * snapshots, and gathers what they counted. Requests are served by the workers alone, so that nothing that this
 * thread is busy with delays them.
 */
import type { Backend, Route, Snapshot, SnapshotChange } from "./snapshot.ts";

/**
 * What differs between two snapshots. Entries that are the same object are the same without a look inside; a
 * control plane that keeps unchanged objects pays for a publish what changed, and a pass over the ids.
 */
export function changeBetween(from: Snapshot, to: Snapshot): SnapshotChange {
  const routes = changed<Route>(from.routes, to.routes);
  const backends = changed<Backend>(from.backends, to.backends);
  return {
    revision: to.revision,
    routes: routes.put,
    removedRoutes: routes.removed,
    backends: backends.put,
    removedBackends: backends.removed,
    ...(to.certificates && to.certificates !== from.certificates ? { certificates: to.certificates } : {}),
    ...(to.issuers && to.issuers !== from.issuers ? { issuers: to.issuers } : {}),
    ...(to.apiKeys && to.apiKeys !== from.apiKeys ? { apiKeys: to.apiKeys } : {}),
  };
}

function changed<Item extends { readonly id: string }>(from: readonly Item[], to: readonly Item[]) {
  const before = new Map(from.map((item) => [item.id, item]));
  const put = to.filter((item) => {
    const known = before.get(item.id);
    before.delete(item.id);
    return known !== item && (!known || JSON.stringify(known) !== JSON.stringify(item));
  });
  return { put, removed: [...before.keys()] };
}
