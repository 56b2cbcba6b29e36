/**
 * Keywords of ours in place of the library's.
 *
 * `pattern` and `format` run on automata, `uniqueItems` compares texts instead of all pairs, `multipleOf`
 * calculates with decimals. `contains` and tuples are here because those of ajv 8.20 accept what they must not:
 * the variable that says whether an item fits keeps its value from the item before, or has none when the array
 * is shorter than the tuple, and what follows is skipped. What `patternProperties` and `unevaluatedItems` read of
 * what was evaluated before them may be undefined or `true`, and theirs expect neither. The tests beside this file
 * show all of these.
 */
import { _, type Ajv, type CodeKeywordDefinition, type KeywordCxt, Name } from "ajv";
import { alwaysValidSchema, mergeEvaluated, Type } from "ajv/dist/compile/util.js";
import type { AnySchema } from "ajv/dist/types/index.js";
import { validateArray } from "ajv/dist/vocabularies/code.js";
import type { Draft } from "../document.ts";
import { formats } from "../patterns/formats.ts";
import type { Runtime } from "./runtime.ts";

export function replaceKeywords(ajv: Ajv, draft: Draft, runtime: Runtime): void {
  const own = [uniqueItems(runtime), multipleOf(runtime), format(runtime), contains(draft)];
  own.push(draft === "2020-12" ? prefixItems : itemsOfDraft7);
  for (const definition of own) {
    const keyword = definition.keyword as string;
    ajv.removeKeyword(keyword);
    // What is evaluated must be known before what asks for it.
    const isLater = ["uniqueItems", "multipleOf", "format"].includes(keyword);
    ajv.addKeyword(
      draft === "2020-12" && !isLater ? { ...definition, before: "unevaluatedItems" } : definition,
    );
  }
  if (draft !== "2020-12") return;
  prepend(ajv, "patternProperties", knowsProperties, { before: "unevaluatedProperties" });
  prepend(ajv, "unevaluatedItems", countsItems);
}

/** Lets the library's keyword be, with something before it. */
function prepend(
  ajv: Ajv,
  keyword: string,
  prepare: (context: KeywordCxt) => void,
  place: { before?: string } = {},
): void {
  const theirs = ajv.getKeyword(keyword) as CodeKeywordDefinition;
  ajv.removeKeyword(keyword);
  ajv.addKeyword({
    ...theirs,
    ...place,
    code(context) {
      prepare(context);
      theirs.code(context);
    },
  });
}

/** A set that was to be made in a branch that was not taken is empty. */
function knowsProperties({ gen, it }: KeywordCxt): void {
  const { props } = it;
  if (props instanceof Name) gen.if(_`${props} === undefined`, () => gen.assign(props, _`{}`));
}

/** As above; and `true`, which stands for all of them, is no place to go on from. */
function countsItems({ gen, data, it }: KeywordCxt): void {
  const { items } = it;
  if (items instanceof Name)
    it.items = gen.const("from", _`${items} === true ? ${data}.length : ${items} || 0`);
}

function uniqueItems({ isUnique: ref }: Runtime): CodeKeywordDefinition {
  return {
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    error: { message: "must NOT have duplicate items" },
    code(context) {
      if (!context.schema) return;
      const call = context.gen.scopeValue("func", { ref, code: _`require("hotswap").isUnique` });
      context.fail(_`!${call}(${context.data})`);
    },
  };
}

function multipleOf({ isMultipleOf: ref }: Runtime): CodeKeywordDefinition {
  return {
    keyword: "multipleOf",
    type: "number",
    schemaType: "number",
    error: { message: ({ schema }) => `must be multiple of ${schema}` },
    code(context) {
      const call = context.gen.scopeValue("func", { ref, code: _`require("hotswap").isMultipleOf` });
      context.fail(_`!${call}(${context.data}, ${context.schema})`);
    },
  };
}

function format(runtime: Runtime): CodeKeywordDefinition {
  return {
    keyword: "format",
    type: "string",
    schemaType: "string",
    error: { message: ({ schema }) => `must match format "${schema}"` },
    code(context) {
      const source = formats.get(context.schema as string);
      if (source === undefined) return;
      const [ref, code] = [runtime.pattern(source), _`require("hotswap").pattern(${source})`];
      const automaton = context.gen.scopeValue("pattern", { key: ref.toString(), ref, code });
      context.fail(_`!${automaton}.test(${context.data})`);
    },
  };
}

function contains(draft: Draft): CodeKeywordDefinition {
  return {
    keyword: "contains",
    type: "array",
    schemaType: ["object", "boolean"],
    trackErrors: true,
    error: {
      message: ({ params: { min, max } }) =>
        max === undefined
          ? `must contain at least ${min} valid item(s)`
          : `must contain at least ${min} and no more than ${max} valid item(s)`,
      params: ({ params: { min, max } }) =>
        max === undefined ? _`{minContains: ${min}}` : _`{minContains: ${min}, maxContains: ${max}}`,
    },
    code(context) {
      const { gen, data, parentSchema, it } = context;
      const isCounted = draft === "2020-12";
      const min: number = isCounted ? (parentSchema.minContains ?? 1) : 1;
      const max: number | undefined = isCounted ? parentSchema.maxContains : undefined;
      context.setParams({ min, max });
      if (min === 0 && max === undefined) return;
      it.items = true;
      const length = gen.const("len", _`${data}.length`);
      const count = gen.let("count", 0);
      const fits = gen.name("_valid");
      gen.forRange("i", 0, length, (i) => {
        context.subschema(
          { keyword: "contains", dataProp: i, dataPropType: Type.Num, compositeRule: true },
          fits,
        );
        gen.if(fits, () => gen.code(_`${count}++`));
        if (max === undefined) gen.if(_`${count} >= ${min}`, () => gen.break());
        else gen.if(_`${count} > ${max}`, () => gen.break());
      });
      const enough = _`${count} >= ${min}`;
      context.result(max === undefined ? enough : _`${enough} && ${count} <= ${max}`, () => context.reset());
    },
  };
}

const prefixItems: CodeKeywordDefinition = {
  keyword: "prefixItems",
  type: "array",
  schemaType: ["array"],
  code: (context) => tuple(context, context.schema),
};

const itemsOfDraft7: CodeKeywordDefinition = {
  keyword: "items",
  type: "array",
  schemaType: ["object", "array", "boolean"],
  code(context) {
    const { schema, it } = context;
    if (Array.isArray(schema)) {
      tuple(context, schema);
      return;
    }
    it.items = true;
    if (!alwaysValidSchema(it, schema)) context.ok(validateArray(context));
  },
};

function tuple(context: KeywordCxt, schemas: AnySchema[]): void {
  const { gen, data, keyword, it } = context;
  if (it.opts.unevaluated && schemas.length > 0 && it.items !== true)
    it.items = mergeEvaluated.items(gen, schemas.length, it.items);
  const length = gen.const("len", _`${data}.length`);
  for (const [at, schema] of schemas.entries()) {
    if (alwaysValidSchema(it, schema)) continue;
    const fits = gen.name("valid");
    gen.var(fits, true);
    gen.if(_`${length} > ${at}`, () => context.subschema({ keyword, schemaProp: at, dataProp: at }, fits));
    context.ok(fits);
  }
}
