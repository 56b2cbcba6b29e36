/** What the catalogue says of an error. */

/** What went wrong in the abstract; the HTTP edge and the CLI's exit codes are derived from it. */
export type ErrorKind =
  | "invalid" // the input is wrong and will stay wrong
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "not_acceptable"
  | "timeout" // the caller was too slow
  | "conflict" // the state does not allow it
  | "gone"
  | "precondition_failed"
  | "too_large"
  | "header_too_large"
  | "unsupported_media_type"
  | "unprocessable"
  | "precondition_required"
  | "upgrade_required"
  | "limited" // over a rate or quota; try later
  | "internal"
  | "unavailable" // a part that is needed is down; try later
  | "insufficient_storage"
  | "bad_gateway" // a backend behind the gateway failed
  | "gateway_timeout"; // a backend behind the gateway was too slow

export interface CatalogueEntry {
  kind: ErrorKind;
  title: string;
  /** One or two sentences: what the reader should do. */
  help: string;
}
