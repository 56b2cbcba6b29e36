/** Messages below each other; one of them can be opened. Which one is, stands in the address. */
import type { Message } from "../../../client/src/index.ts";
import { ago, exact } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Icon } from "../parts/icon.tsx";
import { ask, query } from "../route.ts";
import { MessageDetail, preview } from "./message-detail.tsx";

/** The message that is looked at. */
export const opened = (): string => query.value.open ?? "";

export function MessageList({ messages }: { messages: readonly Message[] }) {
  return (
    <ol class="panel messages" aria-label="Messages">
      {messages.map((message) => (
        <MessageRow key={message.messageId} message={message} />
      ))}
    </ol>
  );
}

function MessageRow({ message }: { message: Message }) {
  const isOpen = opened() === message.messageId;
  return (
    <li>
      <button
        type="button"
        class="message-row"
        aria-expanded={isOpen}
        onClick={() => ask({ open: isOpen ? "" : message.messageId })}
      >
        <Icon name="chevron" />
        <span class="message-offset">{exact(message.offset)}</span>
        <code class="message-preview">{preview(message)}</code>
        {message.priority !== undefined && message.priority !== 0 && (
          <span class="chip">priority {message.priority}</span>
        )}
        {message.key !== null && <span class="chip">{message.key}</span>}
        <time dateTime={message.publishedAt} title={message.publishedAt}>
          {ago(serverNowMs() - Date.parse(message.publishedAt))}
        </time>
      </button>
      {isOpen && <MessageDetail message={message} />}
    </li>
  );
}
