/**
 * Keeps secrets and personal data out of the log, wherever in a logged object they are: by the name of the
 * member, and by shape for what sits inside text. What is masked is gone; nothing of it is kept for
 * "debugging".
 */
const mask = "***";
const depthMax = 6;
const itemsMax = 50;

// Looked for in the name's letters in lower case, so that apiKey, api_key and X-API-KEY are one.
const secretNames = [
  ...["password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential", "jwt"],
  ...["apikey", "masterkey", "privatekey", "receipt"],
  ...["payload", "email", "phone", "msisdn", "iban", "cardnumber"],
];

const inText: [RegExp, string][] = [
  [/(:\/\/[^\s:/@"\\]*:)[^\s@"\\/]+@/g, `$1${mask}@`], // scheme://user:password@
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{4,}/gi, `$1 ${mask}`],
  [/\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?/g, mask], // a JWT
];

/**
 * Masks what looks like a credential inside text. Also fit for a whole line of JSON: it touches no quotes.
 */
export function redactText(text: string): string {
  return inText.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}

/** A copy without secrets, of plain data that JSON can hold; errors become what the log shows of them. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Uint8Array) return `<${value.byteLength} bytes>`;
  if (value instanceof Date || value instanceof URL) return value;
  if (depth >= depthMax) return "…";
  if (Array.isArray(value)) return value.slice(0, itemsMax).map((item) => redact(item, depth + 1));
  return redactFields(value, depth);
}

export function redactFields(fields: object, depth = 0): Record<string, unknown> {
  const members = Object.entries(fields).slice(0, itemsMax);
  return Object.fromEntries(
    members.map(([name, member]) => [name, isSecret(name, member) ? mask : redact(member, depth + 1)]),
  );
}

// A flag such as `hasPassword: true` gives nothing away.
function isSecret(name: string, member: unknown): boolean {
  if (member === null || member === undefined || typeof member === "boolean") return false;
  const letters = name.toLowerCase().replaceAll(/[^a-z]/g, "");
  return secretNames.some((secret) => letters.includes(secret));
}

/** Only the members named here: drivers hang queries with their parameters on their errors. */
function describeError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === "string" && { code }),
    message: error.message,
    stack: error.stack,
    ...(error.cause !== undefined && depth < depthMax && { cause: redact(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && { errors: redact(error.errors, depth + 1) }),
  };
}
