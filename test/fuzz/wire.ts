/** Sends what a well-behaved client would not, and says what must never be in an answer. */
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { catalogue, type ErrorCode } from "../../src/core/catalogue.ts";
import { statusOfKind } from "../../src/platform/http/problem.ts";
import type { Answer, Contract } from "../contract.ts";
import type { WireRequest } from "./requests.ts";

const agent = new Agent({ keepAlive: true, maxSockets: 4 });
const hangMs = 15_000;

/** Rejects when no whole answer comes in time. */
export function send(url: string, { method, path, headers, body, chunked }: WireRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const framed = body && chunked ? { ...headers, "transfer-encoding": "chunked" } : headers;
    const options = {
      hostname,
      port,
      method,
      path,
      headers: framed,
      agent,
      signal: AbortSignal.timeout(hangMs),
    };
    const call = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("error", reject);
      const answerWith = (text: string) => {
        const names = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        const answer = {
          status: response.statusCode!,
          headers: new Headers(names as [string, string][]),
          text,
        };
        const isJson = /^application\/([\w.]+\+)?json/.test(answer.headers.get("content-type") ?? "");
        resolve({ ...answer, json: isJson && text !== "" ? JSON.parse(text) : undefined });
      };
      // A stream of events has no end; that it begins is all there is to judge.
      if (response.headers["content-type"] === "text/event-stream") {
        answerWith("");
        call.destroy();
        return;
      }
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => answerWith(Buffer.concat(chunks).toString()));
    });
    call.on("error", reject);
    if (body && chunked)
      for (let at = 0; at < body.length; at += 1000) call.write(body.subarray(at, at + 1000));
    call.end(chunked ? undefined : body);
  });
}

/** Stacks, files, queries and addresses of the inside. */
const inside = [
  /\n\s*at .+:\d+:\d+/,
  /\bfile:\/\//,
  /node_modules|node:internal/,
  /\b(select|insert into|update|delete from)\b[^"]{0,200}\b(from|values|set|where)\b/i,
  /\b(syntax error at|violates|relation \\?"|invalid byte sequence|unterminated quoted|pg_)/i,
  /\bECONN|\bENOENT|\bEACCES/,
  /\b(TypeError|RangeError|SyntaxError|Cannot read prop|is not a function|undefined \(reading)/,
];

/** What the server may answer before it knows which operation is meant. */
const beforeRouting: ErrorCode[] = [
  "route_not_found",
  "method_not_allowed",
  "header_too_large",
  "http_malformed",
  "validation_failed",
];

/** The answer is one that the document promises, and shows nothing of the inside. */
export function judge(
  contract: Contract,
  sent: Pick<WireRequest, "method" | "path">,
  answer: Answer,
  secrets: string[],
) {
  const { status, text, json, headers } = answer;
  assert.ok(status < 500 || status === 503 || status === 507, `${status} ${text.slice(0, 500)}`);
  if (status >= 400) {
    assert.equal(headers.get("content-type"), "application/problem+json", text.slice(0, 200));
    const entry = catalogue[json.code as ErrorCode];
    assert.ok(entry, `unknown code ${json.code}`);
    assert.equal(json.status, status);
    assert.equal(statusOfKind[entry.kind], status, json.code);
    for (const pattern of inside) assert.doesNotMatch(text, pattern);
  }
  for (const secret of secrets) assert.ok(!text.includes(secret), `the answer contains ${secret}`);
  if (status >= 400 && beforeRouting.includes(json.code)) return;
  const operation = contract.find(sent.method, sent.path);
  assert.ok(operation, `an answer of ${status} from no operation`);
  contract.check(operation, answer);
}
