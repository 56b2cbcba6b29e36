/**
 * What a sync between a folder in Git and HotSwap has to do, for one configuration: a merge of three. The base is what
 * both had when they were last in line; whoever has moved from it wins over who has not, and when both have, nobody
 * does. Pure.
 */

/** One side: what the document says (the same text for the same content), or undefined where there is none. */
export type Side = string | undefined;

export type Action =
  | { kind: "nothing" }
  /** The file becomes a version. */
  | { kind: "push" }
  /** The version becomes the file. */
  | { kind: "write" }
  | { kind: "drift"; reason: string };

export type Preference = "git" | "hotswap" | undefined;

const nothing: Action = { kind: "nothing" };

/**
 * `wasSynced` is false where the folder was never in line with this server: there is no base then, and two sides that
 * differ cannot be told apart. A side that is gone is never followed by itself: deleting is for people.
 */
export function actionOf(
  { base, git, hotswap }: { base: Side; git: Side; hotswap: Side },
  { wasSynced, prefer }: { wasSynced: boolean; prefer: Preference },
): Action {
  if (git === hotswap) return nothing;
  if (git === undefined) {
    if (base === undefined || prefer === "hotswap") return { kind: "write" };
    return { kind: "drift", reason: "its file is deleted in Git, and HotSwap still has it" };
  }
  if (hotswap === undefined) {
    if (base === undefined || prefer === "git") return { kind: "push" };
    return { kind: "drift", reason: "HotSwap has it no more, and its file is still in Git" };
  }
  if (wasSynced && base === hotswap) return { kind: "push" };
  if (wasSynced && base === git) return { kind: "write" };
  if (prefer !== undefined) return { kind: prefer === "git" ? "push" : "write" };
  const reason =
    base === undefined
      ? "Git and HotSwap differ, and were never in line"
      : "both have changed since they were in line";
  return { kind: "drift", reason };
}
