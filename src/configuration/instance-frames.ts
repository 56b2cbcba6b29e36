/**
 * The frames between an instance and the server, as docs/reference/instance-socket.md has them. Instances of a service
 * say the same at the same moment, and are answered the same: each is read or made once.
 */
import { LRUCache } from "lru-cache";
import { type Static, Type } from "typebox";
import { HotSwapError } from "../core/errors.ts";
import { parseJson } from "../platform/http/body.ts";
import { textFrame } from "../platform/http/text-frame.ts";
import { refuseUnkeepable, validator } from "../platform/http/validation.ts";
import type { Answer } from "./answers.ts";
import { type Heartbeat, heartbeat } from "./instances.schema.ts";

export const instanceProtocol = "hotswap.instance.v1";
/** Of what an instance says. */
export const frameBytesMax = 256 * 1024;

export interface Said {
  /** A heartbeat is always answered, a report when there is something that the instance does not know. */
  readonly type: "heartbeat" | "report";
  readonly beat: Heartbeat;
}

const spoken = Type.Object(
  { type: Type.Enum(["heartbeat", "report"]), ...heartbeat.properties },
  { additionalProperties: false },
);
const validate = validator(spoken, "body") as (value: unknown) => Static<typeof spoken>;
const jsonDepth = 8;

/** By their bytes, as Latin-1. */
const alike = new LRUCache<string, Said>({ max: 1_000 });
const alikeBytesMax = 512;

/** Throws `frame_invalid`. The result is shared. */
export function readSaid(frame: Buffer, isBinary: boolean): Said {
  if (isBinary) throw new HotSwapError("frame_invalid", "Frames are text here.");
  if (frame.length > alikeBytesMax) return parse(frame);
  const key = frame.toString("latin1");
  const known = alike.get(key);
  if (known) return known;
  const said = parse(frame);
  if (!said.beat.metrics) alike.set(key, said); // counts are everybody's own
  return said;
}

function parse(frame: Buffer): Said {
  try {
    const { type, ...beat } = validate(parseJson(frame, jsonDepth));
    refuseUnkeepable(beat, "body");
    return { type, beat };
  } catch (error) {
    if (!(error instanceof HotSwapError)) throw error;
    throw new HotSwapError("frame_invalid", error.message, { fields: error.fields });
  }
}

export const welcomeFrame = (facts: { retryMs: number; heartbeatSeconds: number }) =>
  textFrame(JSON.stringify({ type: "welcome", ...facts }));

export const errorFrame = (problem: object) => textFrame(JSON.stringify({ type: "error", error: problem }));

/** By what is desired; of answers that name no trials. */
const answered = new WeakMap<Answer["configs"], { heartbeatSeconds: number; frame: Buffer }>();

export function answerFrame(answer: Answer): Buffer {
  const { configs, trials, heartbeatSeconds } = answer;
  const kept = trials.length === 0 ? answered.get(configs) : undefined;
  if (kept?.heartbeatSeconds === heartbeatSeconds) return kept.frame;
  const frame = textFrame(JSON.stringify({ type: "answer", ...answer }));
  if (trials.length === 0) answered.set(configs, { heartbeatSeconds, frame });
  return frame;
}

/** Whether it runs what it should, is asked nothing, and need not say anything sooner than it would. */
export function saysNothingNew(
  { configs, trials, heartbeatSeconds }: Answer,
  usualSeconds: number,
  beat: Heartbeat,
) {
  if (trials.length > 0 || heartbeatSeconds !== usualSeconds) return false;
  const { applied = [] } = beat;
  return configs.every(({ config, version }) =>
    applied.some((one) => one.config === config && one.version === version && one.status === "applied"),
  );
}
