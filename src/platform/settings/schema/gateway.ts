/** The API gateway. */
import { boolean, choice, folder, integer, networks, text } from "../kind.ts";
import { KiB, MiB, setting } from "../setting.ts";

export const gatewaySettings = {
  "gateway.enabled": setting(boolean(), {
    meaning:
      "Runs the API gateway in this server. Without it routes can be managed and are served by other nodes.",
    default: true,
  }),
  "gateway.host": setting(
    text("a host name or an IP address", (value) => /^[\w.:-]{1,253}$/.test(value)),
    { meaning: "The address that the gateway listens on.", default: "127.0.0.1" },
  ),
  "gateway.port": setting(integer(0, 65_535), {
    meaning:
      "The port of the gateway; 0 takes any free port. Without it 7080, or in development any free one when that is taken.",
  }),
  "gateway.tlsPort": setting(integer(0, 65_535), {
    meaning: "A second port of the gateway, for TLS with HTTP/2. Without it there is none.",
  }),
  "gateway.tlsFolder": setting(folder(), {
    meaning:
      "Certificates of the gateway: pairs name.crt and name.key, or folders with fullchain.pem and privkey.pem. Renewed ones count within seconds.",
    requiredWith: "gateway.tlsPort",
  }),
  "gateway.tlsClientCertificates": setting(choice(["none", "optional", "required"]), {
    meaning: "Whether clients show a certificate, of the authority in client-ca.pem of gateway.tlsFolder.",
    default: "none",
  }),
  "gateway.workers": setting(integer(0, 64), {
    meaning:
      "Threads that serve requests. 0 is one for each processor but one, at least one; while developing one.",
    default: 0,
  }),
  "gateway.trustedHops": setting(networks(), {
    meaning:
      "Proxies in front of the gateway, whose X-Forwarded-* and X-Request-Id fields count. None by default.",
    default: [],
  }),
  "gateway.accessLog": setting(choice(["off", "file", "stdout"]), {
    meaning: "A line for each request: to gateway/access.log in the data folder, or to standard output.",
    default: "off",
  }),
  "gateway.accessLogFormat": setting(choice(["json", "common", "combined"]), {
    meaning: "How a line of the access log looks.",
    default: "json",
  }),
  "gateway.requestsKept": setting(integer(1, 100_000), {
    meaning: "The last requests that can be explained, for each worker.",
    default: 2_048,
  }),
  "gateway.pollMs": setting(integer(100, 600_000, "milliseconds"), {
    meaning: "How often a node looks for changes of routes that no notice came of.",
    default: 5_000,
  }),
  "gateway.routesMax": setting(integer(1, 1_000_000), {
    meaning: "Routes of one tenant.",
    default: 50_000,
  }),
  "gateway.revisionsKept": setting(integer(1, 1_000_000), {
    meaning: "Earlier revisions of a route set that can be read and taken back.",
    default: 1_000,
  }),
  "gateway.importLimitBytes": setting(integer(KiB, 256 * MiB, "bytes"), {
    meaning: "The largest route set that can be imported.",
    default: 64 * MiB,
  }),
  "gateway.instancesMax": setting(integer(1, 1_000_000), {
    meaning: "Registered service instances of one tenant.",
    default: 10_000,
  }),
  "gateway.keysMax": setting(integer(1, 1_000_000), {
    meaning: "API keys of one tenant.",
    default: 10_000,
  }),
  "gateway.dnsServers": setting(networks(), {
    meaning:
      "Name servers for backends that are DNS names, with a port if need be. Those of the system by default.",
    default: [],
  }),
  "gateway.bssRequestsPerMinute": setting(integer(0, 1_000_000), {
    meaning:
      "What each client may send to a route with the label system=bss that has no rate limit of its own. 0 sets none.",
    default: 1_000,
  }),
};
