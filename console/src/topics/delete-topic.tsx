/** The dialog that deletes a topic; its name must be typed, because nothing brings the messages back. */
import { plural } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";
import { forget, numbersOf } from "./live.ts";

export function DeleteTopic({ name, onClose }: { name: string; onClose(): void }) {
  const stats = numbersOf(name).stats.value;
  const what = stats
    ? `${plural(stats.messages, "stored message")} and ${plural(stats.subscriptions.length, "subscription")}`
    : "the topic's messages and subscriptions";
  return (
    <Confirm
      title={`Delete ${name}`}
      verb="Delete topic"
      isDanger
      typed={name}
      twin={{
        cli: `hotswap topic delete ${shellWord(name)}`,
        curl: curl("DELETE", `/api/v1/topics/${encodeURIComponent(name)}`),
      }}
      work={() => hotswap().topics.delete(name)}
      onDone={() => {
        forget(name);
        go("topics");
      }}
      onClose={onClose}
    >
      <p>This deletes {what}. They cannot be brought back.</p>
    </Confirm>
  );
}
