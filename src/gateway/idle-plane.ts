/** A data plane without sockets: of a server whose gateway is off, and for who only wants to know the routes. */
import type { DataPlane } from "./proxy/data-plane.ts";
import type { RequestRecord } from "./proxy/records.ts";
import type { SnapshotProblem } from "./proxy/snapshot.ts";
import type { ProxyStats } from "./proxy/stats.ts";

const nothing: ProxyStats = {
  ...{ revision: 0, workers: 0, connections: 0, tunnels: 0 },
  ...{ retries: {}, flags: {}, logDropped: 0, routes: [], backends: [], refused: {} },
};

export class IdlePlane implements DataPlane {
  start = async () => [];
  publish = async (): Promise<SnapshotProblem[]> => [];
  apply = async (): Promise<SnapshotProblem[]> => [];
  stats = async () => nothing;
  explain = async () => undefined;
  recent = async (): Promise<RequestRecord[]> => [];
  probe = async () => undefined;
  limitUses = () => [];
  raiseLimits = () => {};
  stop = async () => {};
}
