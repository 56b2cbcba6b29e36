/**
 * What goes over the stream of an instance, as server-sent events. `id` is the revision of the scope in which this
 * came about: who comes back with it in Last-Event-ID hears of what changed since. JSON text holds no line end, so
 * each event is one line of data.
 */
import type { Content, Payload } from "./payloads.ts";
import type { OpenTrial } from "./scopes.sql.ts";

interface About {
  readonly config: string;
  readonly revision: number;
  readonly format?: string;
  readonly deployment?: string | null;
}

/** Without a payload: there is no version for this instance any more. */
export function configEvent(about: About, payload: Payload | undefined, inlineBytes: number): Buffer {
  const { config, revision, format, deployment = null } = about;
  const head = payload
    ? { config, version: payload.version, hash: payload.hash, revision, deployment, format }
    : { config, version: null, hash: null, revision, deployment };
  return event("config", withValue(head, payload, inlineBytes), revision);
}

/** A null version: a draft. */
export function trialEvent(trial: OpenTrial, content: Content, inlineBytes: number): Buffer {
  const { id, config, version } = trial;
  return event("trial", withValue({ id, config, version, hash: content.hash }, content, inlineBytes));
}

export const keepAlive = Buffer.from(":\n\n");

/** How long to wait before coming back, in milliseconds. */
export const retry = (ms: number): Buffer => Buffer.from(`retry: ${Math.round(ms)}\n\n`);

function withValue(head: object, payload: Content | undefined, inlineBytes: number): string {
  const text = JSON.stringify(head);
  if (!payload || payload.json.length > inlineBytes) return text;
  return `${text.slice(0, -1)},"value":${payload.json}}`;
}

function event(name: string, data: string, id?: number): Buffer {
  return Buffer.from(`${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${data}\n\n`);
}
