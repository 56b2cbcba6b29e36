/** The fields that a JSON Schema names, flat, for people. What lies behind references and choices is left out. */
export interface SchemaField {
  path: string;
  type: string;
  isRequired: boolean;
  description: string | undefined;
  /** Values or bounds, as words. */
  limits: string;
}

type Schema = { readonly [keyword: string]: unknown };

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const DEPTH_MAX = 6;

export function schemaFields(schema: unknown, path = "", depth = 0): SchemaField[] {
  if (!isSchema(schema) || depth > DEPTH_MAX) return [];
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(properties).flatMap(([name, inner]) => {
    const here = path === "" ? name : `${path}.${name}`;
    if (!isSchema(inner)) return [];
    const below = isSchema(inner.items) ? schemaFields(inner.items, `${here}[]`, depth + 1) : [];
    const field: SchemaField = {
      path: here,
      type: typeOf(inner),
      isRequired: required.includes(name),
      description: typeof inner.description === "string" ? inner.description : undefined,
      limits: limitsOf(inner),
    };
    return [field, ...schemaFields(inner, here, depth + 1), ...below];
  });
}

export function plainType({ type, isRequired, limits }: SchemaField): string {
  return [type, isRequired && "required", limits].filter(Boolean).join(", ");
}

function typeOf({ type, enum: values, const: only }: Schema): string {
  if (typeof type === "string") return type;
  if (Array.isArray(type)) return type.join(" or ");
  return values !== undefined || only !== undefined ? "" : "anything";
}

function limitsOf(schema: Schema): string {
  const { enum: values, const: only, minimum, maximum, default: fallback } = schema;
  return [
    Array.isArray(values) && `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
    only !== undefined && `always ${JSON.stringify(only)}`,
    minimum !== undefined && `at least ${minimum}`,
    maximum !== undefined && `at most ${maximum}`,
    fallback !== undefined && `${JSON.stringify(fallback)} by default`,
  ]
    .filter(Boolean)
    .join(", ");
}
