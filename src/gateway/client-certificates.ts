/**
 * Certificates that the gateway shows to backends. A route names a secret, which holds the certificate with its chain
 * and its private key, all PEM; in one secret, so that a renewal never shows half of itself. Values are looked up
 * again and again while a route names them, and the last good one counts.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Clock, Timer } from "../core/clock.ts";
import type { FieldError } from "../core/errors.ts";
import type { AnyTx } from "../stores/sql/port.ts";
import type { RouteSpec } from "./routes.schema.ts";

/** A tenant's secret by its name; undefined when there is none. */
export type SecretOf = (tenant: string, name: string) => Promise<string | undefined>;

/** Values of those of these secrets that there are. None of them is deleted before the transaction ends. */
export type HoldSecrets = (
  tx: AnyTx,
  tenant: string,
  names: readonly string[],
) => Promise<ReadonlyMap<string, string>>;

export interface ClientCertificatesOptions {
  clock: Clock;
  secretOf: SecretOf;
  /** The secret has another value than before. */
  onChange(tenant: string, name: string): void;
  /** Whether any route of the tenant still names it. */
  isUsed(tenant: string, name: string): boolean;
  onError(error: unknown): void;
}

interface Watched {
  pem: string | undefined;
  first: Promise<void>;
  timer: Timer | undefined;
}

const refreshMs = 10_000;

export class ClientCertificates {
  readonly #options: ClientCertificatesOptions;
  readonly #watched = new Map<string, Watched>();
  #stopped = false;

  constructor(options: ClientCertificatesOptions) {
    this.#options = options;
  }

  /** What is known now; begins to look the secret up when it is new. */
  pemOf(tenant: string, name: string): string | undefined {
    const key = `${tenant}/${name}`;
    const known = this.#watched.get(key);
    if (known) return known.pem;
    const watched: Watched = { pem: undefined, first: Promise.resolve(), timer: undefined };
    this.#watched.set(key, watched);
    watched.first = this.#look(tenant, name, watched);
    return undefined;
  }

  /** Resolves when every secret has been asked for once. */
  async settled(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ first }) => first));
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#watched.values()) timer?.cancel();
  }

  async #look(tenant: string, name: string, watched: Watched): Promise<void> {
    const { clock, secretOf, onChange, isUsed, onError } = this.#options;
    try {
      const pem = await secretOf(tenant, name);
      const problem = certificateProblem(pem);
      if (problem !== undefined) throw new Error(`the secret ${name} of ${tenant} ${problem}`);
      if (pem !== watched.pem) {
        watched.pem = pem;
        if (!this.#stopped) onChange(tenant, name);
      }
    } catch (error) {
      if (!this.#stopped) onError(error);
    }
    if (this.#stopped) return;
    watched.timer = clock.after(refreshMs, () => {
      if (isUsed(tenant, name)) void this.#look(tenant, name, watched);
      else this.#watched.delete(`${tenant}/${name}`);
    });
  }
}

/** Secrets that a route names, by the places where it does. */
export function certificateSecrets({
  connection,
  backends = [],
}: RouteSpec): { name: string; pointer: string }[] {
  const places = [
    { tls: connection?.tls, at: "/connection/tls" },
    ...backends.map(({ tls }, index) => ({ tls, at: `/backends/${index}/tls` })),
  ];
  return places.flatMap(({ tls, at }) =>
    tls?.clientCertificate
      ? [{ name: tls.clientCertificate.$secret, pointer: `${at}/clientCertificate/$secret` }]
      : [],
  );
}

/**
 * What is wrong with the secrets that routes name, of each by pointers into it. It is the routes' own transaction: what
 * passes is still there when they are committed.
 */
export async function checkCertificates(
  tx: AnyTx,
  tenant: string,
  specs: readonly RouteSpec[],
  hold: HoldSecrets,
): Promise<FieldError[][]> {
  const named = specs.map(certificateSecrets);
  const names = [...new Set(named.flat().map(({ name }) => name))];
  if (names.length === 0) return specs.map(() => []);
  const values = await hold(tx, tenant, names);
  const problems = new Map(names.map((name) => [name, certificateProblem(values.get(name))]));
  return named.map((places) =>
    places.flatMap(({ name, pointer }) => {
      const problem = problems.get(name);
      return problem === undefined ? [] : [{ pointer, message: `${name} ${problem}` }];
    }),
  );
}

function certificateProblem(pem: string | undefined): string | undefined {
  if (pem === undefined) return "is no secret that there is";
  try {
    const isPair = new X509Certificate(pem).checkPrivateKey(createPrivateKey(pem));
    return isPair ? undefined : "holds a key that is not that of its certificate";
  } catch {
    return "does not hold a certificate and its private key, both PEM";
  }
}
