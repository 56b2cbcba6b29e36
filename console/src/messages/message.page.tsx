/** One message by its id: a page to link to. */
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Page, Traits } from "../parts/page.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href, hrefWith } from "../route.ts";
import { hotswap } from "../session.ts";
import { MessageDetail } from "./message-detail.tsx";
import { MessageExplanations } from "./message-explanations.tsx";

export function MessagePage({ id }: { id: string }) {
  const { answer, error } = useLive((signal) => hotswap().messages.get(id, { signal }), { intervalMs: 5000 });
  const message = answer.value;
  return (
    <Page
      title="Message"
      within={message ? [message.topic, "topics", message.topic, "messages"] : ["Topics", "topics"]}
      isBusy={message === undefined}
      error={error.value}
      lead={
        message && (
          <Traits
            all={[
              <>
                of <a href={href("topics", message.topic)}>{message.topic}</a>
              </>,
              `published ${ago(serverNowMs() - Date.parse(message.publishedAt))}`,
              <a
                key="beside"
                href={hrefWith(
                  {
                    partition: `${message.partition}`,
                    from: `${Math.max(0, message.offset - 10)}`,
                    open: message.messageId,
                  },
                  "topics",
                  message.topic,
                  "messages",
                )}
              >
                what lies beside it
              </a>,
            ]}
          />
        )
      }
    >
      {message && (
        <>
          <section class="panel message-page">
            <MessageDetail message={message} isPage />
          </section>
          <MessageExplanations message={message} />
          <TwinPanel
            twin={{
              cli: `hotswap message get ${shellWord(id)}`,
              curl: curl("GET", `/api/v1/messages/${encodeURIComponent(id)}`),
            }}
          />
        </>
      )}
    </Page>
  );
}
