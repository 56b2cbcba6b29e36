/**
 * References to secrets inside of a document: `{"$secret": "name"}` in place of a value, and `${secret:name}`
 * anywhere in a string. A document only ever holds the name; values come in when it is handed to an instance. Pure.
 */
import type { FieldError } from "../core/errors.ts";
import { type Json, pointerToken } from "../core/json.ts";

export const secretNamePattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";
const isName = new RegExp(secretNamePattern);
const inString = /\$\{secret:([^}]*)\}/g;
const member = "$secret";

export interface SecretReference {
  name: string;
  pointer: string;
}

/** What a document refers to, and references that are none. */
export function referencesOf(value: Json): { references: SecretReference[]; mistakes: FieldError[] } {
  const references: SecretReference[] = [];
  const mistakes: FieldError[] = [];
  const note = (name: unknown, pointer: string) => {
    if (typeof name === "string" && isName.test(name)) references.push({ name, pointer });
    else
      mistakes.push({ pointer, message: "does not name a secret: letters, digits and . _ -, at most 100" });
  };
  const visit = (at: Json, pointer: string): void => {
    if (typeof at === "string") {
      for (const [, name] of at.matchAll(inString)) note(name, pointer);
    } else if (Array.isArray(at)) {
      for (const [index, item] of at.entries()) visit(item, `${pointer}/${index}`);
    } else if (typeof at === "object" && at !== null) {
      if (Object.hasOwn(at, member)) {
        note(at[member], pointer);
        if (Object.keys(at).length > 1)
          mistakes.push({ pointer, message: `${member} must be the only member` });
        return;
      }
      for (const [name, inner] of Object.entries(at)) visit(inner, `${pointer}/${pointerToken(name)}`);
    }
  };
  visit(value, "");
  return { references, mistakes };
}

export const isReference = (value: Json): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, member);

/** A copy with the values in. Every name must be among them. */
export function withSecrets(value: Json, values: ReadonlyMap<string, string>): Json {
  const lookUp = (name: string) => {
    const found = values.get(name);
    if (found === undefined) throw new Error(`the secret ${name} was not looked up`);
    return found;
  };
  const visit = (at: Json): Json => {
    if (typeof at === "string") return at.replaceAll(inString, (_, name: string) => lookUp(name));
    if (Array.isArray(at)) return at.map(visit);
    if (typeof at !== "object" || at === null) return at;
    if (isReference(at)) return lookUp(String(at[member]));
    return Object.fromEntries(Object.entries(at).map(([name, inner]) => [name, visit(inner)]));
  };
  return visit(value);
}
