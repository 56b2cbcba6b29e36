/**
 * What instances are told, made once and the same bytes for all: as a server-sent event, or as a frame of a
 * WebSocket. `id` is the revision of the scope in which this came about: who comes back with it hears of what
 * changed since. JSON text holds no line end, so each event is one line of data.
 */
import { textFrame } from "../platform/http/text-frame.ts";
import type { Content, Payload } from "./payloads.ts";
import type { OpenTrial } from "./scopes.sql.ts";

interface About {
  readonly config: string;
  readonly revision: number;
  readonly format?: string;
  readonly deployment?: string | null;
  readonly traceparent?: string;
}

export class Notice {
  readonly #name: string;
  /** The text of a JSON object. */
  readonly #data: string;
  readonly #id: number | undefined;
  #event: Buffer | undefined;
  #frame: Buffer | undefined;

  constructor(name: string, data: string, id?: number) {
    this.#name = name;
    this.#data = data;
    this.#id = id;
  }

  get event(): Buffer {
    const id = this.#id === undefined ? "" : `id: ${this.#id}\n`;
    this.#event ??= Buffer.from(`${id}event: ${this.#name}\ndata: ${this.#data}\n\n`);
    return this.#event;
  }

  /** The name is the member `type`. */
  get frame(): Buffer {
    this.#frame ??= textFrame(`{"type":"${this.#name}",${this.#data.slice(1)}`);
    return this.#frame;
  }
}

/** Without a payload: there is no version for this instance any more. */
export function configNotice(about: About, payload: Payload | undefined, inlineBytes: number): Notice {
  const { config, revision, format, deployment = null, traceparent } = about;
  const head = payload
    ? { config, version: payload.version, hash: payload.hash, revision, deployment, traceparent, format }
    : { config, version: null, hash: null, revision, deployment };
  return new Notice("config", withValue(head, payload, inlineBytes), revision);
}

/** A null version: a draft. */
export function trialNotice(trial: OpenTrial, content: Content, inlineBytes: number): Notice {
  const { id, config, version } = trial;
  return new Notice("trial", withValue({ id, config, version, hash: content.hash }, content, inlineBytes));
}

function withValue(head: object, payload: Content | undefined, inlineBytes: number): string {
  const text = JSON.stringify(head);
  if (!payload || payload.json.length > inlineBytes) return text;
  return `${text.slice(0, -1)},"value":${payload.json}}`;
}
