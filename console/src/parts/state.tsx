/** A state as a word in a colour; the word carries the meaning. */
import type { ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "plain";

export function State({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`state ${tone}`}>{children}</span>;
}
