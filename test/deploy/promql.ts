/**
 * The metrics and labels that a PromQL expression names. Not a parser: promtool says whether an expression is
 * one; this tells names apart by what stands around them, and refuses what it cannot place.
 */
export interface Selector {
  metric: string;
  labels: string[];
}

export interface Names {
  selectors: Selector[];
  /** Of by, without, on, ignoring and group_left. */
  grouped: string[];
}

const keywords = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end"]);
const grouping = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;

export function namesIn(expr: string): Names {
  const plain = expr.replaceAll(/"(?:\\.|[^"\\])*"/g, '""').replaceAll(/\[[^\]]*\]/g, "");
  const grouped: string[] = [];
  const ungrouped = plain.replaceAll(grouping, (_, names: string) => {
    grouped.push(...names.split(",").map((name) => name.trim()));
    return " ";
  });
  const selectors: Selector[] = [];
  for (const [, name, after = "", inside = ""] of ungrouped.matchAll(
    /\b([a-zA-Z_:][\w:]*)\s*(\(|\{([^}]*)\})?/g,
  )) {
    if (after === "(" || keywords.has(name!.toLowerCase())) continue;
    selectors.push({
      metric: name!,
      labels: [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, l]) => l!),
    });
  }
  return { selectors, grouped: grouped.filter((name) => name !== "") };
}

/** What an expression names and `known` (metric → labels) does not have. */
export function unknownNames(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const { selectors, grouped } = namesIn(expr);
  const found: string[] = [];
  const carried = new Set<string>();
  for (const { metric, labels } of selectors) {
    const own = known.get(metric);
    if (!own) found.push(metric);
    for (const label of own ?? []) carried.add(label);
    found.push(
      ...labels.filter((label) => own && !own.includes(label)).map((label) => `${metric}{${label}}`),
    );
  }
  found.push(...grouped.filter((label) => !carried.has(label)).map((label) => `by (${label})`));
  return found;
}
