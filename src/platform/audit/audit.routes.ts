/** Reading the audit. There is no route that writes: entries come from the changes themselves. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../http/page.ts";
import { handled, type Route, route } from "../http/route.ts";
import type { Audit } from "./audit.ts";
import { outcomes } from "./chain.ts";
import { exportLines } from "./export.ts";

const Hash = Type.String({ pattern: "^[0-9a-f]{64}$", description: "SHA-256, hexadecimal." });

export const AuditEntrySchema = Type.Object(
  {
    tenant: Type.String(),
    seq: Type.Integer({ minimum: 1, description: "Position in the tenant's chain, without gaps." }),
    at: Type.String({ format: "date-time" }),
    actor: Type.String({ description: "Subject of the token, or `system:<part>`." }),
    action: Type.String(),
    resource: Type.String(),
    requestId: Type.String(),
    outcome: Type.Enum([...outcomes]),
    detail: Type.Unknown({ description: "What else is worth knowing; secrets are masked." }),
    before: Type.Union([Hash, Type.Null()], { description: "Digest of the resource before the change." }),
    after: Type.Union([Hash, Type.Null()], { description: "Digest of the resource after the change." }),
    previous: Hash,
    hash: Hash,
  },
  { additionalProperties: false, title: "AuditEntry" },
);

const Query = Type.Object(
  {
    ...pageQuery,
    actor: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    action: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    resource: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    from: Type.Optional(Type.String({ format: "date-time", description: "Inclusive." })),
    to: Type.Optional(Type.String({ format: "date-time", description: "Exclusive." })),
  },
  { additionalProperties: false },
);

/** `onError` is told when an export breaks off after its head has been sent. */
export function auditRoutes(audit: Audit, onError: (error: unknown) => void = () => {}): Route[] {
  return [
    route({
      id: "audit.entries.list",
      method: "GET",
      path: "/api/v1/audit",
      summary: "Audit entries of your tenant, newest first",
      permission: "audit.read",
      audit: { none: "reads only" },
      query: Query,
      response: pageOf(AuditEntrySchema),
      errors: ["cursor_invalid"],
      handler: async ({ principal, query: { limit, cursor, ...filter } }) => {
        const before = decodeCursor(cursor, 1)?.[0];
        if (before !== undefined && !Number.isSafeInteger(before)) throw new HotSwapError("cursor_invalid");
        const rows = await audit.newest(principal.tenant, filter, before as number | undefined, limit + 1);
        return toPage(
          rows,
          limit,
          (entry) => entry,
          ({ seq }) => [seq],
        );
      },
    }),
    route({
      id: "audit.entries.export",
      method: "GET",
      path: "/api/v1/audit/export",
      summary: "The whole audit of your tenant, with checkpoints and keys",
      description: "Keep the file and check it with `hotswap audit verify FILE`, which needs no server.",
      permission: "audit.read",
      audit: { none: "reads only" },
      responseType: "application/x-ndjson",
      response: Type.Unknown({ description: "One JSON object a line." }),
      handler: async ({ principal, response, signal }) => {
        const lines = exportLines(audit, principal.tenant);
        const header = await lines.next(); // what fails before the first line still becomes a problem
        response.writeHead(200, {
          "content-type": "application/x-ndjson",
          "content-disposition": `attachment; filename="audit-${principal.tenant}.ndjson"`,
        });
        const text = Readable.from(withLineEnds(header.value, lines), { objectMode: false });
        // The head is out: what fails now can only end the connection, so that the file is seen to be cut off.
        await pipeline(text, response, { signal }).catch((error) => {
          if (!signal.aborted) onError(error); // a client that has gone is no failure
        });
        return handled;
      },
    }),
  ];
}

async function* withLineEnds(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield `${first}\n`;
  for await (const line of rest) yield `${line}\n`;
}
