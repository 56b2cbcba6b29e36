/**
 * What the project stands on: exact versions, few direct dependencies, licences that go with Apache-2.0, and
 * migrations numbered one by one.
 */
import { posix } from "node:path";
import type { Violation } from "./source.ts";

/** Each one is a promise to keep up with it. */
export const DIRECT_MAX = 25;

const FREE = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PostgreSQL",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface LockedPackage {
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

export function inexactVersions(path: string, manifest: Manifest): Violation[] {
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => ({ path, what: `${name} ${version}: name one exact version` }));
}

export function tooManyDependencies(path: string, { dependencies = {} }: Manifest): Violation[] {
  const count = Object.keys(dependencies).length;
  return count > DIRECT_MAX ? [{ path, what: `${count} direct dependencies, more than ${DIRECT_MAX}` }] : [];
}

/** `packages` as package-lock.json has them: everything that is installed without development tools. */
export function unfitLicences(packages: Readonly<Record<string, LockedPackage>>): Violation[] {
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path.startsWith("node_modules/") && !dev && !link)
    .filter(([, { license }]) => !fits(license ?? ""))
    .map(([path, { license }]) => ({ path, what: `licence ${license ?? "not stated"}` }));
}

// An SPDX expression: of `A OR B` we may choose, of `A AND B` both hold.
function fits(expression: string): boolean {
  const inner = expression.trim().replace(/^\((.*)\)$/, "$1");
  if (inner.includes(" OR ")) return inner.split(" OR ").some(fits);
  return inner.split(" AND ").every((licence) => FREE.has(licence.trim()));
}

/** In each folder `migrations`: 0001_name.sql, 0002_name.sql, … without a gap, a double or anything else. */
export function misnumbered(paths: readonly string[]): Violation[] {
  const folders = Map.groupBy(
    paths.filter((path) => posix.basename(posix.dirname(path)) === "migrations"),
    (path) => posix.dirname(path),
  );
  return [...folders.values()].flatMap((files) =>
    files.sort().flatMap((path, index) => {
      const number = String(index + 1).padStart(4, "0");
      const fine = new RegExp(`^${number}_[a-z0-9_-]+\\.sql$`).test(posix.basename(path));
      return fine ? [] : [{ path, what: `expected ${number}_….sql` }];
    }),
  );
}
