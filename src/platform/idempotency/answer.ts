/** An answer as it lies in the table, and back. What comes back is sent to the byte as the first time. */
import { Reply } from "../http/route.ts";

export interface StoredAnswer {
  body_type: "none" | "json" | "text" | "bytes";
  body: Buffer | null;
  /** Null: the route's own. */
  status: number | null;
  /** JSON. */
  headers: string;
}

/** Tells a repeated answer from a first one. */
const replayed = { "idempotency-replayed": "true" };

export function toStored({ body, status, headers }: Reply): StoredAnswer {
  const rest = { status: status ?? null, headers: JSON.stringify(headers) };
  if (body === undefined || body === null) return { ...rest, body_type: "none", body: null };
  if (Buffer.isBuffer(body)) return { ...rest, body_type: "bytes", body };
  // As the server does: text goes out as it is when it has a content type, and as JSON when it has none.
  if (typeof body === "string" && headers["content-type"]) {
    return { ...rest, body_type: "text", body: Buffer.from(body) };
  }
  const text = JSON.stringify(body);
  if (text === undefined)
    throw new TypeError("an idempotent route must answer with a body, not take over the response");
  return { ...rest, body_type: "json", body: Buffer.from(text) };
}

export function fromStored({ body_type, body, status, headers }: StoredAnswer): Reply {
  const options = {
    headers: { ...(JSON.parse(headers) as Record<string, string>), ...replayed },
    ...(status !== null && { status }),
  };
  switch (body_type) {
    case "none":
      return new Reply(undefined, options);
    case "bytes":
      return new Reply(body, options);
    case "text":
      return new Reply(body!.toString(), options);
    case "json":
      return new Reply(JSON.parse(body!.toString()), options);
  }
}
