/**
 * The oracle: llhttp, the parser of Node, as undici ships it in WebAssembly, in its strict mode. Feeds it bytes and
 * gives back the messages as it reads them, so that tests can hold our reading against it.
 */
import { createRequire } from "node:module";

export interface OracleMessage {
  method?: string;
  url: string;
  status: number;
  fields: [name: string, value: string][];
  body: Buffer;
  /** Fields after the body. */
  trailer: [name: string, value: string][];
  keepAlive: boolean;
  upgrade: boolean;
  complete: boolean;
  headComplete: boolean;
}

export interface OracleResult {
  messages: OracleMessage[];
  error: string | undefined;
}

interface Exports {
  memory: { buffer: ArrayBuffer };
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  malloc(size: number): number;
  free(pointer: number): void;
  llhttp_execute(parser: number, pointer: number, length: number): number;
  llhttp_get_error_reason(parser: number): number;
  llhttp_get_method(parser: number): number;
}

const require = createRequire(import.meta.url);
const folder = require.resolve("undici").replace(/index\.js$/, "lib/llhttp/");
const { METHODS } = require(`${folder}constants.js`) as { METHODS: Record<string, number> };
const methodNames = new Map(Object.entries(METHODS).map(([name, number]) => [number, name]));

let messages: OracleMessage[] = [];
let isHead = false;
let inField = false;

// The compiler's libraries for Node alone do not know it.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object, imports: object) => { exports: object };
  };
};
const wasm = require(`${folder}llhttp-wasm.js`) as Buffer;
const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(wasm)), {
  env: {
    wasm_on_message_begin: () => {
      messages.push({
        url: "",
        status: 0,
        fields: [],
        body: Buffer.alloc(0),
        trailer: [],
        keepAlive: true,
        upgrade: false,
        complete: false,
        headComplete: false,
      });
      return 0;
    },
    wasm_on_url: (_: number, at: number, length: number) => {
      current().url += text(at, length);
      return 0;
    },
    wasm_on_status: () => 0,
    wasm_on_header_field: (_: number, at: number, length: number) => {
      const list = current().headComplete ? current().trailer : current().fields;
      if (!inField) list.push(["", ""]);
      inField = true;
      list.at(-1)![0] += text(at, length);
      return 0;
    },
    wasm_on_header_value: (_: number, at: number, length: number) => {
      const list = current().headComplete ? current().trailer : current().fields;
      inField = false;
      list.at(-1)![1] += text(at, length);
      return 0;
    },
    wasm_on_headers_complete: (parser: number, status: number, upgrade: number, keepAlive: number) => {
      const message = current();
      inField = false;
      message.headComplete = true;
      message.status = status;
      message.upgrade = upgrade === 1;
      message.keepAlive = keepAlive === 1;
      const method = methodNames.get(oracle.llhttp_get_method(parser));
      if (method) message.method = method;
      return isHead ? 1 : 0;
    },
    wasm_on_body: (_: number, at: number, length: number) => {
      const message = current();
      message.body = Buffer.concat([message.body, Buffer.from(oracle.memory.buffer, at, length)]);
      return 0;
    },
    wasm_on_message_complete: () => {
      current().complete = true;
      return 0;
    },
  },
});
const oracle = instance.exports as unknown as Exports;

const current = () => messages.at(-1)!;
const text = (at: number, length: number) => Buffer.from(oracle.memory.buffer, at, length).toString("latin1");

/** `toHead`: responses answer HEAD requests. */
export function readByLlhttp(
  kind: "request" | "response",
  bytes: Buffer,
  { toHead = false } = {},
): OracleResult {
  messages = [];
  isHead = toHead;
  inField = false;
  const parser = oracle.llhttp_alloc(kind === "request" ? 1 : 2);
  const pointer = oracle.malloc(Math.max(1, bytes.length));
  try {
    new Uint8Array(oracle.memory.buffer, pointer, bytes.length).set(bytes);
    const code = oracle.llhttp_execute(parser, pointer, bytes.length);
    return { messages, error: code === 0 ? undefined : reason(oracle.llhttp_get_error_reason(parser), code) };
  } finally {
    oracle.free(pointer);
    oracle.llhttp_free(parser);
  }
}

function reason(at: number, code: number): string {
  const memory = Buffer.from(oracle.memory.buffer);
  return at === 0 ? `code ${code}` : memory.toString("latin1", at, memory.indexOf(0, at));
}
