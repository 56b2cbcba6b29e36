/**
 * The hash of what an approval is about, computed here and not believed: SHA-256 over the canonical JSON of
 * RFC 8785, whose numbers and strings are those of JSON.stringify and whose members are in the order of their
 * UTF-16 code units.
 */
export async function contentHash(content: unknown): Promise<string | undefined> {
  if (!globalThis.crypto?.subtle) return undefined; // browsers offer it over HTTPS and on loopback only
  const bytes = new TextEncoder().encode(canonical(content));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}
