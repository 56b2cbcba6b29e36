/** Services whose instances register at HotSwap and stay by heartbeats: backends of routes by name, not by URL. */

export interface NewServiceInstance {
  /** The same one again brings it up to date; one is made when it is absent. */
  id?: string;
  /** Host and port, no path. */
  url: string;
  /** Default 1; 0 takes no traffic. */
  weight?: number;
  labels?: Record<string, string>;
  /** It is gone when it was silent for so long; default 30. */
  ttlSeconds?: number;
}

export interface ServiceInstance extends Required<NewServiceInstance> {
  service: string;
  expiresAt: string;
  registeredAt: string;
}
