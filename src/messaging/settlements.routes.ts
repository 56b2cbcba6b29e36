/** /api/v1/messages/…/ack, /nack, /extend: what a consumer says of the messages it holds. */
import { Type } from "typebox";
import { type Route, route } from "../platform/http/route.ts";
import { ackMany, ackOne, extendMany, messageId, nackMany, nackOne, settled } from "./messages.schema.ts";
import type { Settlements } from "./settlements.ts";

const byId = Type.Object({ id: messageId });
const common = {
  method: "POST",
  permission: "messages.consume",
  audit: { none: "data plane: settlements are kept in the subscription's journal" },
  response: settled,
} as const;

export function settlementRoutes(settlements: Settlements): Route[] {
  return [
    route({
      ...common,
      id: "messaging.messages.ack",
      path: "/api/v1/messages/{id}/ack",
      summary: "Acknowledge a message: it is done",
      params: byId,
      body: ackOne,
      errors: ["message_not_found", "receipt_invalid", "lease_lost", "log_write_failed"],
      handler: ({ principal, params, body }) => settlements.ackOne(principal.tenant, params.id, body.receipt),
    }),
    route({
      ...common,
      id: "messaging.messages.ackBatch",
      path: "/api/v1/messages/ack",
      summary: "Acknowledge messages",
      description: "Each receipt has its own outcome; one that fails does not stop the others.",
      body: ackMany,
      errors: ["log_write_failed"],
      handler: ({ principal, body }) => settlements.ack(principal.tenant, body.receipts),
    }),
    route({
      ...common,
      id: "messaging.messages.nack",
      path: "/api/v1/messages/{id}/nack",
      summary: "Give a message back",
      description: "It is delivered again after `delayMs`, at once by default.",
      params: byId,
      body: nackOne,
      errors: ["message_not_found", "receipt_invalid", "lease_lost", "log_write_failed"],
      handler: ({ principal, params, body }) => settlements.nackOne(principal.tenant, params.id, body),
    }),
    route({
      ...common,
      id: "messaging.messages.nackBatch",
      path: "/api/v1/messages/nack",
      summary: "Give messages back",
      description: "Each receipt has its own outcome; one that fails does not stop the others.",
      body: nackMany,
      errors: ["log_write_failed"],
      handler: ({ principal, body }) => settlements.nack(principal.tenant, body.items),
    }),
    route({
      ...common,
      id: "messaging.messages.extend",
      path: "/api/v1/messages/extend",
      summary: "Keep messages for longer",
      description: "Moves the end of the leases to `seconds` from now. The receipts stay the same.",
      body: extendMany,
      handler: ({ principal, body }) => settlements.extend(principal.tenant, body.receipts, body.seconds),
    }),
  ];
}
