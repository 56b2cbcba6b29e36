/** Who calls: the embedded issuer, trusted OIDC issuers, and the verifier of their tokens. */
export { authRoutes } from "./auth.routes.ts";
export { Issuer, type IssuerOptions, type Mode, type TokenRequest } from "./issuer.ts";
export { type OidcOptions, oidcIssuer } from "./oidc.ts";
export { anonymous, type Principal } from "./principal.ts";
export { developmentIssuer, type TrustedIssuer } from "./trusted-issuer.ts";
export { isLoopback, Verifier, type VerifierOptions } from "./verifier.ts";
