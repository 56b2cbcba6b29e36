/** Configuration: what the composition root needs to run it. */
import type { IncomingMessage } from "node:http";
import { Lifecycle, type Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import type { Target } from "../deployment/target.ts";
import type { Principal } from "../platform/auth/principal.ts";
import type { Route } from "../platform/http/route.ts";
import type { Kv } from "../stores/kv/index.ts";
import { Delivery, type DeliverySettings } from "./delivery.ts";
import { type DocumentSettings, Documents, type DocumentsParts } from "./documents.ts";

export interface ConfigurationOptions extends DocumentsParts {
  kv: Kv;
  random: Random;
  settings: DocumentSettings & DeliverySettings;
}

export const migrations = new URL("./migrations/", import.meta.url);

export class Configuration implements Service {
  readonly name = "configuration";
  readonly routes: Route[];
  readonly documents: Documents;
  /** For the deployment engine. */
  readonly target: Target;
  readonly #delivery: Delivery;
  readonly #lifecycle = new Lifecycle();

  constructor(options: ConfigurationOptions) {
    this.documents = new Documents(options);
    this.#delivery = new Delivery({ ...options, documents: this.documents });
    this.target = this.#delivery.target;
    this.routes = [...this.documents.routes, ...this.#delivery.routes];
  }

  /** Who comes by a ticket for changes of flags, which stands for a token there; undefined: nobody does. */
  ticketHolder(request: IncomingMessage): Promise<Principal> | undefined {
    return this.#delivery.flagTickets.holderAt(request);
  }

  start(): Promise<void> {
    return this.#lifecycle.start(this.#delivery);
  }

  stop(): Promise<void> {
    return this.#lifecycle.stop();
  }
}
