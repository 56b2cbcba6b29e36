/**
 * The frames of text: one JSON object each, with a `type`. They open and close channels, grant credit, and carry
 * the same messages and settlements as the binary ones for who rather reads them. Unknown types and members are
 * refused like everywhere else.
 */
import { type Static, type TSchema, Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";
import { parseJson } from "../../platform/http/body.ts";
import { validator } from "../../platform/http/validation.ts";
import { ackMany, consumerNames, extendMany, nackMany } from "../messages.schema.ts";
import { topicName } from "../topics.schema.ts";
import { invalid } from "./frames.ts";

export const creditMax = { messages: 10_000, bytes: 64 << 20 } as const;

const strict = { additionalProperties: false } as const;
const channel = Type.Integer({ minimum: 0, maximum: 0xffffffff });
const id = Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffffffff }));
const messageCredit = Type.Integer({ minimum: 0, maximum: creditMax.messages });
const byteCredit = Type.Integer({ minimum: 0, maximum: creditMax.bytes });

const schemas = {
  open: Type.Object({ type: Type.Literal("open"), channel, topic: topicName }, strict),
  publish: Type.Object(
    {
      type: Type.Literal("publish"),
      id,
      topic: topicName,
      messages: Type.Array(Type.Unknown(), { minItems: 1 }),
    },
    strict,
  ),
  consume: Type.Object(
    {
      type: Type.Literal("consume"),
      channel,
      topic: topicName,
      subscription: Type.Optional(topicName),
      consumer: consumerNames.consumer,
      consumerPriority: Type.Optional(consumerNames.consumerPriority),
      messages: messageCredit,
      bytes: Type.Optional(byteCredit),
      batch: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
      encoding: Type.Optional(Type.Union([Type.Literal("json"), Type.Literal("binary")])),
    },
    strict,
  ),
  credit: Type.Object(
    { type: Type.Literal("credit"), channel, messages: messageCredit, bytes: Type.Optional(byteCredit) },
    strict,
  ),
  close: Type.Object({ type: Type.Literal("close"), channel }, strict),
  ack: Type.Object({ type: Type.Literal("ack"), id, ...ackMany.properties }, strict),
  nack: Type.Object({ type: Type.Literal("nack"), id, ...nackMany.properties }, strict),
  extend: Type.Object({ type: Type.Literal("extend"), id, ...extendMany.properties }, strict),
  token: Type.Object({ type: Type.Literal("token"), token: Type.String({ maxLength: 8192 }) }, strict),
  ping: Type.Object({ type: Type.Literal("ping"), id }, strict),
};

type Schemas = typeof schemas;
export type ControlType = keyof Schemas;
export type Control = { [Type in ControlType]: Static<Schemas[Type]> }[ControlType];
export type ControlOf<Type extends ControlType> = Static<Schemas[Type]>;

const validators = Object.fromEntries(
  Object.entries(schemas).map(([type, schema]) => [type, validator(schema as TSchema, "body")]),
) as Record<ControlType, (value: unknown) => unknown>;

/** Throws `frame_invalid` for what is no frame, with the fields that do not fit. */
export function readControl(text: Buffer, jsonDepth: number): Control {
  try {
    const value = parseJson(text, jsonDepth);
    const type = typeof value === "object" && value !== null ? (value as { type?: unknown }).type : undefined;
    if (typeof type !== "string" || !Object.hasOwn(schemas, type))
      throw invalid("it has no type that is known");
    return validators[type as ControlType](value) as Control;
  } catch (error) {
    if (!(error instanceof HotSwapError)) throw error;
    throw new HotSwapError("frame_invalid", error.message, { fields: error.fields });
  }
}
