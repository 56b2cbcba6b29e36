/** The steps of a deployment, and where it is among them. */
import type { Deployment } from "../../../client/src/index.ts";
import { stepText } from "./text.ts";

export function Plan({ one }: { one: Deployment }) {
  const current = one.endedAt === null ? one.step?.index : undefined;
  return (
    <section class="panel">
      <h2>Steps</h2>
      <ol class="timeline">
        {one.plan.map((step, index) => (
          <li key={index} aria-current={index === current ? "step" : undefined}>
            <span>{stepText(step)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
