/** A route in few words, and what makes one different from another. */
import type { GatewayRoute, Json, PlaceChange, RouteMatch, RouteSpec } from "../../../client/src/index.ts";
import { shellWord } from "../parts/twin.tsx";

/** What the route is made of, without what the server says about it. */
export function specOf(route: GatewayRoute): RouteSpec {
  const { id, version, revision, createdAt, updatedAt, ...spec } = route;
  return spec;
}

export function matchText({ host, path, methods, headers, query }: RouteMatch): string {
  const place =
    path?.exact ?? path?.template ?? (path?.prefix === undefined ? "/*" : prefixText(path.prefix));
  const more = [headers && "headers", query && "query"].filter(Boolean);
  return [methods?.join(" ") ?? "", `${host ?? ""}${place}`, more.length > 0 ? `and ${more.join(", ")}` : ""]
    .filter(Boolean)
    .join(" ");
}

const prefixText = (prefix: string) => `${prefix.replace(/\/$/, "")}/*`;

export function backendText({ backends = [], redirect }: RouteSpec): string {
  if (redirect !== undefined) return "redirect";
  return backends.map(({ url, service, dns }) => url ?? service ?? dns?.name ?? "").join(", ");
}

/** The command that makes the set so, or with `merge` only these routes. */
export function applying(routes: readonly RouteSpec[], mode: "replace" | "merge" = "merge"): string {
  const merge = mode === "merge" ? " --merge" : "";
  return `echo ${shellWord(JSON.stringify({ routes }))} | hotswap gateway routes apply -${merge}`;
}

/** Where two routes differ, by JSON Pointer. Lists of different lengths differ as a whole. */
export function differences(before: unknown, after: unknown, pointer = ""): PlaceChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const areLists = Array.isArray(before) && Array.isArray(after);
  const canDescend = areLists ? before.length === after.length : isObject(before) && isObject(after);
  if (!canDescend) {
    return [
      {
        pointer,
        ...(before !== undefined && { before: before as Json }),
        ...(after !== undefined && { after: after as Json }),
      },
    ];
  }
  const [one, other] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].flatMap((name) =>
    differences(one[name], other[name], `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`),
  );
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
