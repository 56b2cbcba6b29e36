/** Who may call, and who agrees. */
import { integer, text, url } from "../kind.ts";
import { setting } from "../setting.ts";

const isToken = (value: string) => /^[^\s]{1,1000}$/.test(value);

const claim = text("the name of a claim, with dots for inner ones", (value) =>
  /^[\w:/-]+(\.[\w:/-]+)*$/.test(value),
);

export const accessSettings = {
  "auth.issuerUrl": setting(url(["https", "http"]), {
    meaning:
      "An OpenID Connect issuer whose tokens are accepted. Without it HotSwap issues its own tokens only.",
  }),
  "auth.audience": setting(text("1 to 1000 characters without blanks", isToken), {
    meaning: "What a token must name as its audience.",
    default: "hotswap",
  }),
  "auth.rolesClaim": setting(claim, {
    meaning:
      "The claim of the issuer's tokens that lists the roles, such as `realm_access.roles` of Keycloak.",
    default: "roles",
  }),
  "auth.tenantClaim": setting(claim, {
    meaning: "The claim of the issuer's tokens that names the tenant.",
    default: "tenant",
  }),
  "auth.defaultTenant": setting(
    text("letters, digits, dot, dash and underscore, at most 64", (value) => /^[\w.-]{1,64}$/.test(value)),
    {
      meaning:
        "The tenant of the issuer's tokens that name none, for an issuer that serves a single tenant. " +
        "Without it such tokens are refused.",
    },
  ),
  "auth.tokenTtlSeconds": setting(integer(60, 31_536_000, "seconds"), {
    meaning: "How long a token of `hotswap token` is valid when --ttl does not say.",
    default: 3_600,
  }),

  "approvals.webhookUrl": setting(url(["https", "http"]), {
    meaning:
      "Who is told of approvals, new configurations and deployments, by a signed POST (Standard Webhooks).",
  }),
  "approvals.webhookSecret": setting(
    text("whsec_ and 24 to 64 bytes in base64", (value) => /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/.test(value)),
    {
      meaning: "The key that signs the notice.",
      secret: true,
      requiredWith: "approvals.webhookUrl",
      advice: 'make one with `echo "whsec_$(openssl rand -base64 32)"`',
    },
  ),
  "approvals.expirySeconds": setting(integer(60, 7_776_000, "seconds"), {
    meaning: "An approval that is not used by then no longer counts.",
    default: 259_200,
  }),
};
