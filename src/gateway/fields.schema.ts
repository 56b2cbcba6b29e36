/** Pieces that several parts of a route's schema are made of. */
import { Type } from "typebox";

export const strict = { additionalProperties: false } as const;

export const token = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$";
export const headerName = Type.String({ pattern: token, description: "A header field name." });
export const headerValue = Type.String({ maxLength: 4096, pattern: "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$" });
export const milliseconds = (maximum: number, description: string) =>
  Type.Integer({ minimum: 0, maximum, description });
export const share = Type.Number({ minimum: 0, maximum: 1, description: "From 0 to 1." });
export const count = (maximum: number, description: string) =>
  Type.Integer({ minimum: 1, maximum, description });

export const routeName = Type.String({
  title: "RouteName",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
  description: "Letters, digits, dot, dash and underscore; begins with a letter or digit; at most 128.",
});

export const path = Type.String({
  pattern: "^/[^\\s?#\\\\]*$",
  maxLength: 1024,
  description: "Begins with `/`; percent-encoded as on the wire; no query.",
});

export const url = Type.String({
  pattern: "^https?://[^\\s/?#@]{1,255}/?$",
  description: "`http://` or `https://`, host and port.",
});
