/** Certificates for tests, made with openssl: a root, and others that it signed. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "hotswap-tls-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
}

openssl(
  "req",
  "-x509",
  ...curve,
  "-keyout",
  "ca.key",
  "-out",
  "ca.pem",
  "-subj",
  "/CN=Test CA",
  "-days",
  "2",
);

/** The root, PEM. */
export const root = readFileSync(join(folder, "ca.pem"), "utf8");

/** A certificate for this name, signed by the root. PEM. */
export function makeCertificate(name: string): { cert: string; key: string } {
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  openssl("req", ...curve, "-keyout", "k.pem", "-out", "r.pem", ...names);
  const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy"];
  openssl("x509", "-req", "-in", "r.pem", ...signer, "-days", "2", "-out", "c.pem");
  return {
    cert: readFileSync(join(folder, "c.pem"), "utf8"),
    key: readFileSync(join(folder, "k.pem"), "utf8"),
  };
}
