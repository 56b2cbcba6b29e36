/** An OpenID Connect issuer as far as a resource server sees it: discovery, public keys that change, tokens. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export interface OidcIssuer extends AsyncDisposable {
  readonly url: string;
  sign(claims: JWTPayload): Promise<string>;
  /** From now on another key signs, and the one before is no longer published. */
  rotate(): Promise<void>;
}

export async function startIssuer(): Promise<OidcIssuer> {
  let keys: JWK[] = [];
  let privateKey: Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];
  let count = 0;
  const rotate = async () => {
    const pair = await generateKeyPair("ES256");
    privateKey = pair.privateKey;
    keys = [{ ...(await exportJWK(pair.publicKey)), kid: `key-${++count}`, alg: "ES256", use: "sig" }];
  };
  await rotate();
  const server = createServer(({ url: path }, response) => {
    const discovery = { issuer: url, jwks_uri: `${url}/keys` };
    const found = { "/.well-known/openid-configuration": discovery, "/keys": { keys } }[path ?? ""];
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(found));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    rotate,
    sign: (claims) =>
      new SignJWT({ iss: url, aud: "hotswap", sub: "eve", ...claims })
        .setProtectedHeader({ alg: "ES256", kid: `key-${count}` })
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(privateKey),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
