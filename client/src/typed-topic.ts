/**
 * A topic whose payloads have a type, by any schema that speaks Standard Schema (zod, valibot, arktype …). The types
 * come from the schema; what is published is checked against it before it leaves, and what is read is checked when
 * it is opened.
 */
import type { PublishReceipt } from "./message.ts";
import type { Messages } from "./messages.ts";
import { HotSwapProblem } from "./problem.ts";
import type { CallOptions } from "./transport.ts";

/** standardschema.dev, version 1: the part that is needed here. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : never;
type OutputOf<Schema> = Schema extends StandardSchema<never, infer Output> ? Output : never;

export class TypedTopic<Schema extends StandardSchema<never, unknown>> {
  readonly name: string;
  readonly #schema: Schema;
  readonly #messages: Messages;

  constructor(messages: Messages, name: string, schema: Schema) {
    this.#messages = messages;
    this.name = name;
    this.#schema = schema;
  }

  /** Throws a problem `validation_failed`, as the server would, for what does not fit. */
  async publish(
    payload: InputOf<Schema>,
    { key, headers, ...options }: CallOptions & { key?: string; headers?: Record<string, string> } = {},
  ): Promise<PublishReceipt> {
    await this.check(payload);
    return this.#messages.publish(this.name, { payload, key, headers }, options);
  }

  /** The payload of a message that came, as the schema makes it. */
  read(message: { readonly payload: unknown }): Promise<OutputOf<Schema>> {
    return this.check(message.payload);
  }

  async check(value: unknown): Promise<OutputOf<Schema>> {
    const result = await this.#schema["~standard"].validate(value);
    if (!result.issues) return result.value as OutputOf<Schema>;
    const errors = result.issues.map(({ message, path = [] }) => ({
      pointer: `/payload${pointerOf(path)}`,
      message,
    }));
    const detail = errors.map(({ pointer, message }) => `${pointer} ${message}`).join("; ");
    throw new HotSwapProblem(400, { code: "validation_failed", detail, errors });
  }
}

function pointerOf(path: NonNullable<SchemaIssue["path"]>): string {
  const tokens = path.map((part) => String(typeof part === "object" ? part.key : part));
  return tokens.map((token) => `/${token.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
