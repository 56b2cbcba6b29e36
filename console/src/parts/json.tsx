/** JSON, indented and coloured. Long texts are plain: thousands of elements would make the page slow. */
import type { ComponentChild } from "preact";

const colouredLength = 20_000;
const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function JsonText({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2);
  return <pre class="json">{text.length > colouredLength ? text : coloured(text)}</pre>;
}

function coloured(text: string): ComponentChild[] {
  const parts: ComponentChild[] = [];
  let end = 0;
  for (const match of text.matchAll(token)) {
    const [whole, string, colon] = match;
    if (match.index > end) parts.push(text.slice(end, match.index));
    const kind = colon ? "json-key" : string ? "json-string" : "json-literal";
    parts.push(<span class={kind}>{string ?? whole}</span>);
    if (colon) parts.push(colon);
    end = match.index + whole.length;
  }
  parts.push(text.slice(end));
  return parts;
}
