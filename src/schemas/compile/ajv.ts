/**
 * The library set up for schemas of users: no fetching, no code taken from a schema, no formats of its own, and
 * keywords of ours where its own are not linear or not right (keywords.ts).
 */
import { Ajv, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";
import type { FieldError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Draft, SchemaDocument } from "../document.ts";
import { replaceKeywords } from "./keywords.ts";
import type { Runtime } from "./runtime.ts";
import { violationsOf } from "./violations.ts";

/** Characters of generated code; a schema of the size that is allowed stays far below. */
const codeMax = 16 << 20;

const metaschemas = new Map<Draft, ValidateFunction>();

/** Whether the schema is one of its draft: no keyword has a value that it cannot have. */
export function faultsOf(schema: Json, draft: Draft): FieldError[] {
  let validate = metaschemas.get(draft);
  if (!validate) {
    const ajv = draft === "2020-12" ? new Ajv2020({ strict: false, validateFormats: false }) : plain();
    const id =
      draft === "2020-12"
        ? "https://json-schema.org/draft/2020-12/schema"
        : "http://json-schema.org/draft-07/schema";
    validate = ajv.getSchema(id)!;
    metaschemas.set(draft, validate);
  }
  return validate(schema) ? [] : violationsOf(validate.errors ?? [], "");
}

const plain = () => new Ajv({ strict: false, validateFormats: false });

/** A validator for this thread. With `all` every violation is told, else the first. */
export function compile(document: SchemaDocument, runtime: Runtime, all = false): ValidateFunction {
  const schema = document.effective() as object;
  return setUp(schema, document.draft, runtime, all).compile(schema);
}

/** The validator as text of JavaScript, to be made into a function elsewhere (validator.ts). */
export function generate(document: SchemaDocument, runtime: Runtime): string {
  const schema = document.effective() as object;
  const ajv = setUp(schema, document.draft, runtime, false);
  const code = standalone.default(ajv, ajv.compile(schema));
  if (code.length > codeMax) throw new Error("the validator would be too large");
  return counted(code);
}

function setUp(schema: object, draft: Draft, runtime: Runtime, all: boolean): Ajv | Ajv2020 {
  const asksForRest = /"unevaluated(Items|Properties)":/.test(JSON.stringify(schema));
  const pattern = Object.assign((source: string) => runtime.pattern(source), {
    code: 'require("hotswap").pattern',
  });
  const options = {
    strict: false,
    allErrors: all,
    ownProperties: true,
    inlineRefs: false, // inlining multiplies code
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    logger: false,
    // The optimiser drops branches that are never taken, with the variables that others still read.
    // biome-ignore lint/suspicious/noExplicitAny: the library's type wants a RegExp's name
    code: { source: true, lines: true, regExp: pattern as any, optimize: !asksForRest },
  } as const;
  const ajv = draft === "2020-12" ? new Ajv2020(options) : new Ajv(options);
  ajv.opts.unevaluated = asksForRest; // what was evaluated is kept only where somebody asks for it
  replaceKeywords(ajv, draft, runtime);
  return ajv;
}

/**
 * Makes generated code count its steps: at each subschema and each turn of a loop. The library writes one
 * statement a line, and no text of a schema can begin a line, as line ends are escaped in it.
 */
function counted(code: string): string {
  const tick = "if(--work.left<0)work.refill();";
  const body = code.replaceAll(/^(?:function validate\d+\(|for\().*\{$/gm, (line) => `${line}\n${tick}`);
  return `const {work}=require("hotswap");\n${body.replace('"use strict";', "")}`;
}
