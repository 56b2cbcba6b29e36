/** What happened to a deployment, newest first, with who or what decided it. */
import type { DeploymentEvent } from "../../../client/src/index.ts";
import { eventText } from "./text.ts";

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

interface TimelineProps {
  events: readonly DeploymentEvent[];
  plan: readonly Record<string, unknown>[];
}

export function Timeline({ events, plan }: TimelineProps) {
  return (
    <section class="panel">
      <h2>What happened</h2>
      <ol class="timeline">
        {events.toReversed().map((event) => (
          <li key={event.seq}>
            <time dateTime={event.at}>{event.at && clock.format(new Date(event.at))}</time>
            <span>{eventText(event, plan)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
