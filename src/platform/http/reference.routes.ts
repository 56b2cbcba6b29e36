/**
 * The reference that the server carries with it: /openapi.json, /docs drawn from it, and /docs/errors drawn
 * from the catalogue. Plain HTML without a script, so it works under the strictest policy and without a network.
 */
import { createHash } from "node:crypto";
import { Type } from "typebox";
import { catalogue, type ErrorCode } from "../../core/catalogue.ts";
import { openApiText } from "./openapi.ts";
import { problemType, statusOfKind } from "./problem.ts";
import { Reply, type Route, route } from "./route.ts";

const common = {
  method: "GET",
  permission: "public",
  audit: { none: "reads only" },
} as const;

/** The routes of the reference, which describe `routes` and themselves. */
export function referenceRoutes(routes: readonly Route[], version: string): Route[] {
  const all: Route[] = [...routes];
  let shown: { json: string; etag: string; html: string } | undefined;
  // Built at the first request: start-up need not wait for what few ask for.
  const reference = () => {
    if (!shown) {
      const json = openApiText(all, version);
      const etag = `"${createHash("sha256").update(json).digest("base64url").slice(0, 22)}"`;
      shown = { json, etag, html: page("API reference", apiBody(all)) };
    }
    return shown;
  };
  const own = [
    route({
      ...common,
      id: "system.openapi.get",
      path: "/openapi.json",
      summary: "This API as an OpenAPI 3.1 document",
      response: Type.Object({ openapi: Type.String() }, { additionalProperties: true }),
      handler: () => {
        const { json, etag } = reference();
        return new Reply(json, { headers: { "content-type": "application/json; charset=utf-8", etag } });
      },
    }),
    route({
      ...common,
      id: "system.docs.get",
      path: "/docs",
      summary: "This API as a page",
      responseType: "text/html",
      handler: () => html(reference().html),
    }),
    route({
      ...common,
      id: "system.docs.errors",
      path: "/docs/errors",
      summary: "Every error code, and what to do about it",
      responseType: "text/html",
      handler: () => html(page("Errors", errorsBody())),
    }),
    route({
      ...common,
      id: "system.docs.style",
      path: "/docs/style.css",
      summary: "The style of these pages",
      responseType: "text/css",
      handler: () => new Reply(style, { headers: { "content-type": "text/css; charset=utf-8" } }),
    }),
  ];
  all.push(...own);
  return own;
}

const policy =
  "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function html(text: string): Reply {
  const headers = { "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  return new Reply(text, { headers });
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · HotSwap</title><link rel="stylesheet" href="/docs/style.css"></head>
<body><header><a href="/">HotSwap</a><nav><a href="/docs">API</a><a href="/docs/errors">Errors</a>
<a href="/openapi.json">openapi.json</a></nav></header><main><h1>${title}</h1>${body}</main></body></html>`;
}

function apiBody(routes: readonly Route[]): string {
  const groups = Map.groupBy(routes, ({ id }) => id.split(".").slice(0, -1).join(" · "));
  const names = [...groups.keys()].sort();
  const contents = names.map((name) => `<a href="#${anchor(name)}">${name}</a>`).join("");
  const sections = names.map((name) => {
    const entries = groups.get(name)!.map(routeEntry).join("");
    return `<section id="${anchor(name)}"><h2>${name}</h2>${entries}</section>`;
  });
  return `<p>Every call but the public ones carries <code>Authorization: Bearer TOKEN</code>; make one with
<code>hotswap token</code>. Errors are <code>${problemType}</code> with a stable <a href="/docs/errors">code</a>.</p>
<div class="contents">${contents}</div>${sections.join("")}`;
}

function routeEntry(route: Route): string {
  const schemas = [
    schemaBlock("Path", route.params),
    schemaBlock("Query", route.query),
    ...bodies(route).map(([type, schema]) => schemaBlock(`Body · ${type}`, schema)),
    schemaBlock(`Answer · ${route.status ?? 200}`, route.response),
  ];
  const errors = (route.errors ?? []).map(
    (code) => `<a href="/docs/errors#${code}"><code>${code}</code></a>`,
  );
  return `<details id="${route.id}"><summary><b class="${route.method}">${route.method}</b>
<code>${escapeHtml(route.path)}</code> <span>${escapeHtml(route.summary)}</span></summary>
${route.description ? `<p>${escapeHtml(route.description)}</p>` : ""}
<p>Operation <code>${route.id}</code> · permission <code>${route.permission}</code></p>
<pre>${escapeHtml(curl(route))}</pre>${schemas.join("")}
${errors.length > 0 ? `<p>Errors of its own: ${errors.join(", ")}</p>` : ""}</details>`;
}

function bodies(route: Route): [string, unknown][] {
  if (typeof route.body === "object") return [["application/json", route.body]];
  return Object.entries(route.bodyContent ?? {});
}

function schemaBlock(title: string, schema: unknown): string {
  if (!schema) return "";
  return `<h3>${title}</h3><pre>${escapeHtml(JSON.stringify(schema, null, 2))}</pre>`;
}

function curl(route: Route): string {
  const parts = ["curl"];
  if (route.method !== "GET") parts.push(`-X ${route.method}`);
  if (route.permission !== "public") parts.push(`-H "Authorization: Bearer $TOKEN"`);
  const [type] = bodies(route)[0] ?? [];
  if (type)
    parts.push(
      `-H "Content-Type: ${type}"`,
      type === "application/json" ? "-d @body.json" : "-T body.ndjson",
    );
  return [...parts, `"$API${route.path}"`].join(" ");
}

function errorsBody(): string {
  const rows = (Object.keys(catalogue) as ErrorCode[]).map((code) => {
    const { kind, title, help } = catalogue[code];
    return `<tr id="${code}"><td><code>${code}</code></td><td>${statusOfKind[kind]}</td>
<td><b>${escapeHtml(title)}.</b> ${escapeHtml(help)}</td></tr>`;
  });
  return `<p>The <code>code</code> of a problem is stable; its words may change.</p><table><thead><tr><th>Code</th>
<th>Status</th><th>What it means and what to do</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

const anchor = (name: string) => name.replaceAll(/\W+/g, "-");

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

const style = `
:root { color-scheme: light dark; --line: light-dark(#dfe3e8, #2c323a); --soft: light-dark(#f6f7f9, #171b20);
  --text: light-dark(#1b2127, #e4e8ec); --dim: light-dark(#5b6570, #98a2ad); --link: light-dark(#0b5fc0, #7db7ff) }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; color: var(--text); background: light-dark(#fff, #101418) }
header { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: center; padding: .8rem 1.2rem;
  border-bottom: 1px solid var(--line) }
header > a { font-weight: 700 }
nav { display: flex; gap: 1rem }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1.2rem 4rem }
h1 { font-size: 1.6rem }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
h3 { font-size: .85rem; color: var(--dim); margin: .8rem 0 .2rem }
.contents { display: flex; flex-wrap: wrap; gap: .3rem 1rem }
details { border: 1px solid var(--line); border-radius: 8px; margin: .4rem 0; padding: .45rem .8rem }
summary { cursor: pointer; overflow-wrap: anywhere }
summary span { color: var(--dim) }
summary b { display: inline-block; min-width: 4.2rem; font-size: .8rem }
.GET { color: light-dark(#0a7a3d, #5fd08d) }
.POST { color: light-dark(#0b5fc0, #7db7ff) }
.PUT, .PATCH { color: light-dark(#8a5a00, #f0b95a) }
.DELETE { color: light-dark(#b3261e, #ff8a80) }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem;
  overflow: auto; font-size: .82rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere }
tr:target { background: light-dark(#fff6d6, #3a3212) }
`;
