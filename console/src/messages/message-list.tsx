/** Messages below each other; one of them can be opened. Which one is, stands in the address. */
import type { Signal } from "@preact/signals";
import type { Message } from "../../../client/src/index.ts";
import { ago, exact } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Icon } from "../parts/icon.tsx";
import { ask, query } from "../route.ts";
import { MessageDetail, preview } from "./message-detail.tsx";

/** The message that is looked at. */
export const opened = (): string => query.value.open ?? "";

interface MessageListProps {
  messages: readonly Message[];
  /** Ids of those that are ticked, where single ones can be chosen. */
  ticked?: Signal<ReadonlySet<string>>;
}

export function MessageList({ messages, ticked }: MessageListProps) {
  return (
    <ol class="panel messages" aria-label="Messages">
      {messages.map((message) => (
        <MessageRow key={message.messageId} message={message} ticked={ticked} />
      ))}
    </ol>
  );
}

interface MessageRowProps {
  message: Message;
  ticked: Signal<ReadonlySet<string>> | undefined;
}

function MessageRow({ message, ticked }: MessageRowProps) {
  const isOpen = opened() === message.messageId;
  return (
    <li class={ticked ? "with-tick" : undefined}>
      {ticked && <Tick id={message.messageId} ticked={ticked} />}
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

function Tick({ id, ticked }: { id: string; ticked: Signal<ReadonlySet<string>> }) {
  return (
    <input
      type="checkbox"
      aria-label={`Choose message ${id}`}
      checked={ticked.value.has(id)}
      onChange={(event) => {
        const next = new Set(ticked.value);
        if (event.currentTarget.checked) next.add(id);
        else next.delete(id);
        ticked.value = next;
      }}
    />
  );
}
