/**
 * Why a message is refused, one line each: the status that a client gets for it in a request (in a response it is
 * always 502), and a code of its own that appears in the answer, the metrics and the log.
 */
export const REFUSALS = {
  request_line: [400, "The request line is not `METHOD SP target SP HTTP/1.1 CRLF`."],
  method: [400, "The method is not a token."],
  method_unsupported: [501, "The method is none that is served here; CONNECT and TRACE are not."],
  target: [400, "The target is not a path that begins with `/`, or has characters that need encoding."],
  target_too_long: [414, "The target is longer than allowed."],
  path: [400, "The path has `.` or `..` segments, a backslash, or an encoding that hides a separator."],
  version: [505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."],
  field_name: [400, "The name of a header field is not a token followed by `:`."],
  field_value: [400, "The value of a header field has a control character."],
  folded: [400, "A header field goes on in the next line."],
  line_end: [400, "A line does not end in CRLF."],
  fields_too_many: [431, "There are more header fields than allowed."],
  head_too_large: [431, "The head is larger than allowed."],
  host: [400, "Host is missing, there more than once, or not a host."],
  length: [400, "Content-Length is not one number."],
  length_and_encoding: [400, "Content-Length and Transfer-Encoding are both there."],
  encoding: [501, "Transfer-Encoding is something other than `chunked`, once."],
  encoding_version: [400, "HTTP/1.0 knows no Transfer-Encoding."],
  expect: [417, "Only `Expect: 100-continue` is known."],
  chunk_size: [400, "The size of a chunk is not a hexadecimal number in bounds."],
  chunk_extension: [400, "A chunk's extension is malformed or too long."],
  chunk_end: [400, "A chunk does not end in CRLF."],
  trailer: [400, "The trailer is malformed or too large."],
  status_line: [502, "The status line is not `HTTP/1.1 SP status SP reason CRLF`."],
} as const satisfies Record<string, readonly [status: number, detail: string]>;

export type Refusal = keyof typeof REFUSALS;
