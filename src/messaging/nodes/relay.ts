/**
 * Lines of a stream whose topic went to another node while the stream was open: they are published there as a batch,
 * so that the client who streams notices nothing. A stream may outlive its topic's stay on a node by days.
 */
import { asHotSwapError, toProblem } from "../../platform/http/problem.ts";
import type { Messages, Relay } from "../messages.ts";
import { type Forwarder, notThere, wholeBody } from "./forward.ts";
import type { Places } from "./places.ts";

const path = "/api/v1/messages/publish";

export function relayOf(messages: Messages, places: Places, forwarder: Forwarder): Relay {
  return async (context, topic, lines) => {
    const body = batchOf(topic, lines);
    try {
      const text = await places.attempt<string>(context, topic, {
        here: () => messages.publish(context.principal.tenant, body),
        there: async (node) => {
          const { request, response, requestId } = context;
          const headers = { ...context.headers, "content-type": "application/json" };
          const outgoing = { method: "POST", path, body, isRepeatable: false };
          const answer = await forwarder.exchange({ request, response, requestId, headers }, node, outgoing);
          return answer === notThere ? notThere : (await wholeBody(answer)).toString();
        },
      });
      return answersOf(text, lines.length);
    } catch (error) {
      const problem = JSON.stringify({ error: toProblem(asHotSwapError(error), context.requestId) });
      return lines.map(() => problem);
    }
  };
}

/** The lines are JSON of one message each, checked before. */
function batchOf(topic: string, lines: readonly Buffer[]): Buffer {
  const comma = Buffer.from(",");
  const messages = lines.flatMap((line, index) => (index === 0 ? [line] : [comma, line]));
  return Buffer.concat([
    Buffer.from(`{"topic":${JSON.stringify(topic)},"messages":[`),
    ...messages,
    Buffer.from("]}"),
  ]);
}

function answersOf(text: string, count: number): string[] {
  const answer = JSON.parse(text) as { messages?: object[] };
  if (answer.messages) return answer.messages.map((receipt) => JSON.stringify(receipt));
  return Array.from({ length: count }, () => JSON.stringify({ error: answer }));
}
