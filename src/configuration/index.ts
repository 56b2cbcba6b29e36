/** Configuration: what the composition root needs to run it. */
import type { Service } from "../core/lifecycle.ts";
import type { Route } from "../platform/http/route.ts";
import { Documents, type DocumentsParts } from "./documents.ts";

export type ConfigurationOptions = DocumentsParts;

export const migrations = new URL("./migrations/", import.meta.url);

export class Configuration implements Service {
  readonly name = "configuration";
  readonly routes: Route[];
  readonly documents: Documents;

  constructor(options: ConfigurationOptions) {
    this.documents = new Documents(options);
    this.routes = [...this.documents.routes];
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
