/** Changes of topics, subscriptions, webhooks and dead letters. */
import type { Caller } from "../../server.ts";
import type { Changes } from "./change.ts";

/** The id of a dead letter of the topic `one`, once it is there. */
async function deadLetter(caller: Caller): Promise<string> {
  await caller.ok(caller.post("/messages/publish", { topic: "one", payload: 1 }), 201);
  const { messages } = await caller.ok(caller.get("/messages/consume/one?subscription=s&wait=10"));
  const { messageId, receipt } = messages[0];
  await caller.ok(caller.post(`/messages/${messageId}/nack`, { receipt, deadLetter: true }));
  while ((await caller.ok(caller.get("/topics/one/dlq"))).total === 0);
  return messageId;
}

async function subscriptionOf(caller: Caller): Promise<string> {
  return (await caller.ok(caller.get("/subscriptions?topic=one"))).items[0].id;
}

export const messagingChanges: Changes = {
  "messaging.topics.create": {
    resource: /^topics\/one$/,
    change: (caller, options) => caller.post("/topics", { name: "one", type: "pubsub" }, options),
  },
  "messaging.topics.update": {
    resource: /^topics\/one$/,
    change: (caller, { headers }) =>
      caller.put("/topics/one", { description: "new" }, { headers: { ...headers, "if-match": "*" } }),
  },
  "messaging.subscriptions.create": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: (caller, options) => caller.post("/subscriptions", { topic: "one", name: "s" }, options),
  },
  "messaging.subscriptions.update": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      const headers = { "if-match": "*", ...options.headers };
      return caller.put(`/subscriptions/${items[0].id}`, { maxAttempts: 3 }, { ...options, headers });
    },
  },
  "messaging.subscriptions.seek": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      return caller.post(`/subscriptions/${items[0].id}/seek`, { to: "latest" }, options);
    },
  },
  "messaging.messages.replay": {
    resource: /^messages\/\w+-0-0$/,
    change: async (caller, options) =>
      caller.post(`/messages/${await deadLetter(caller)}/replay`, undefined, options),
  },
  "messaging.replays.create": {
    resource: /^topics\/one\/dlq\/replays\/[0-9a-f-]{36}$/,
    change: (caller, options) => caller.post("/topics/one/dlq/replay", { ratePerSecond: 1 }, options),
  },
  "messaging.replays.cancel": {
    resource: /^topics\/one\/dlq\/replays\/[0-9a-f-]{36}$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/topics/one/dlq/replays"));
      return caller.post(`/topics/one/dlq/replays/${items[0].id}/cancel`, undefined, options);
    },
  },
  "messaging.subscriptions.setPush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.put(
        `/subscriptions/${await subscriptionOf(caller)}/push`,
        { url: "https://hooks.example" },
        options,
      ),
  },
  "messaging.subscriptions.pausePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/pause`, undefined, options),
  },
  "messaging.subscriptions.resumePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/resume`, undefined, options),
  },
  "messaging.subscriptions.rotatePushSecret": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.post(`/subscriptions/${await subscriptionOf(caller)}/push/rotate`, undefined, options),
  },
  "messaging.subscriptions.deletePush": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) =>
      caller.delete(`/subscriptions/${await subscriptionOf(caller)}/push`, options),
  },
  "messaging.subscriptions.delete": {
    resource: /^topics\/one\/subscriptions\/s$/,
    change: async (caller, options) => {
      const { items } = await caller.ok(caller.get("/subscriptions?topic=one"));
      return caller.delete(`/subscriptions/${items[0].id}`, options);
    },
  },
  "messaging.topics.delete": {
    resource: /^topics\/one$/,
    change: (caller, options) => caller.delete("/topics/one", options),
  },
};
