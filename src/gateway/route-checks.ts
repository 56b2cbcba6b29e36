/**
 * What a route's schema cannot say: parts that need or exclude one another, and texts with a grammar of their own.
 * Pure; every finding has a JSON Pointer into the route. What passes here the data plane can serve.
 */
import { isIP } from "node:net";
import type { FieldError } from "../core/errors.ts";
import { pointerToken } from "../core/json.ts";
import type { BackendSpec } from "./backends.schema.ts";
import type { ConditionSpec } from "./match.schema.ts";
import type { RouteSpec } from "./routes.schema.ts";

type Report = (pointer: string, message: string) => void;

/** In the order of the document; empty when the route can be served. */
export function checkRoute(spec: RouteSpec): FieldError[] {
  const fields: FieldError[] = [];
  const report: Report = (pointer, message) => void fields.push({ pointer, message });
  checkPath(spec, report);
  checkConditions("headers", spec.match.headers, report);
  checkConditions("query", spec.match.query, report);
  checkBackends(spec, report);
  checkStrategy(spec, report);
  checkTransforms(spec, report);
  checkPolicies(spec, report);
  return fields;
}

/** Name of each segment's placeholder; undefined for a literal one. Throws nothing: the check reports. */
export function templateNames(template: string): string[] {
  return [...template.matchAll(/\{([^{}/]*?)\*?\}/g)].map(([, name]) => name!);
}

const placeholder = /^\{[A-Za-z_]\w{0,63}\*?\}$/;

function checkPath({ match: { path } }: RouteSpec, report: Report): void {
  for (const [kind, text] of Object.entries(path ?? {})) {
    const pointer = `/match/path/${kind}`;
    if (/%(?![0-9A-Fa-f]{2})/.test(text)) report(pointer, "has a % that is not followed by two hex digits");
    if (/\/\.{1,2}(\/|$)/.test(text)) report(pointer, "has a segment . or .., which no request arrives with");
    if (kind !== "template") {
      if (/[{}]/.test(text)) report(pointer, "has braces; a path with names in it is a template");
      continue;
    }
    const segments = text.slice(1).split("/");
    segments.forEach((segment, index) => {
      if (!/[{}]/.test(segment)) return;
      if (!placeholder.test(segment)) report(pointer, `has ${segment}, which must be a name alone: {id}`);
      else if (segment.endsWith("*}") && index < segments.length - 1) {
        report(pointer, `has ${segment} before its end`);
      }
    });
    const names = templateNames(text);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) report(pointer, `has the name ${twice} twice`);
  }
}

const headerToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const tests = ["equals", "prefix", "oneOf", "present"] as const;

function checkConditions(part: "headers" | "query", given: RouteSpec["match"]["headers"], report: Report) {
  for (const [place, { name, ...condition }] of conditionsOf(given).entries()) {
    const at = Array.isArray(given) ? `/match/${part}/${place}` : `/match/${part}/${pointerToken(name)}`;
    if (part === "headers" && !headerToken.test(name)) {
      report(Array.isArray(given) ? `${at}/name` : at, "is not the name of a header field");
    }
    const said = tests.filter((test) => condition[test] !== undefined);
    if (said.length !== 1) report(at, `must have one of ${tests.join(", ")}`);
  }
}

/** The short form, name to value, written out. */
export function conditionsOf(given: RouteSpec["match"]["headers"]): ConditionSpec[] {
  if (given === undefined || Array.isArray(given)) return given ?? [];
  return Object.entries(given).map(([name, equals]) => ({ name, equals }));
}

const sources = ["url", "service", "dns"] as const;

/** `http://a:80/` and `http://a` name the same backend. */
export function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function checkBackends({ backends = [], redirect, connection, mirror }: RouteSpec, report: Report): void {
  if (redirect && backends.length > 0) report("/backends", "must be empty, as the route redirects");
  if (!redirect && backends.length === 0) report("/backends", "needs at least one");
  const seen = new Set<string>();
  for (const [index, backend] of backends.entries()) {
    const at = `/backends/${index}`;
    const said = sources.filter((source) => backend[source] !== undefined);
    const key = keyOf(backend);
    if (said.length !== 1) report(at, `must have one of ${sources.join(", ")}`);
    else if (key === undefined) report(`${at}/url`, "is not a URL");
    else if (seen.has(key)) report(at, "is there already");
    else seen.add(key);
    if (said.length === 1 && backend.dns) checkDns(backend.dns, `${at}/dns`, report);
    if (backend.tls && !isHttps(backend)) report(`${at}/tls`, "needs https");
  }
  if (connection?.tls && !backends.some(isHttps)) report("/connection/tls", "needs a backend with https");
  if (mirror && !originOf(mirror.url)) report("/mirror/url", "is not a URL");
}

/** What a service's instances speak they say when they register. */
function isHttps({ url, service, dns }: BackendSpec): boolean {
  return url?.startsWith("https:") || dns?.scheme === "https" || service !== undefined;
}

function keyOf({ url, service, dns }: BackendSpec): string | undefined {
  return url === undefined ? JSON.stringify([service, dns]) : originOf(url);
}

function checkDns({ type, port }: NonNullable<BackendSpec["dns"]>, at: string, report: Report): void {
  if (type === "SRV" && port !== undefined) report(`${at}/port`, "is in the SRV record");
  if (type !== "SRV" && port === undefined) report(`${at}/port`, "is required");
}

function checkStrategy(spec: RouteSpec, report: Report): void {
  const { strategy = "round-robin", header, sticky, backends = [] } = spec;
  if (strategy === "header" && !header) report("/header", "is required by the strategy header");
  if (strategy !== "header" && header) report("/header", "is for the strategy header only");
  if (strategy !== "sticky" && sticky) report("/sticky", "is for the strategy sticky only");
  const known = new Set(backends.map(({ url }) => url && originOf(url)));
  for (const [value, url] of Object.entries(header?.byValue ?? {})) {
    if (!known.has(originOf(url)))
      report(`/header/byValue/${pointerToken(value)}`, "is not one of the backends");
  }
  if (header?.otherwise !== undefined && !known.has(originOf(header.otherwise))) {
    report("/header/otherwise", "is not one of the backends");
  }
}

/** The gateway's own: framing, and what belongs to one connection (RFC 9110 §7.6.1). */
const ownFields = new Set([
  ...["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "expect"],
]);

function checkTransforms({ request, response, match, mirror }: RouteSpec, report: Report): void {
  for (const [part, change] of [
    ["request", request?.headers],
    ["response", response?.headers],
  ] as const) {
    for (const [verb, names] of Object.entries(change ?? {})) {
      const list = Array.isArray(names) ? names : Object.keys(names);
      list.forEach((name, index) => {
        if (!ownFields.has(name.toLowerCase())) return;
        const token = Array.isArray(names) ? index : pointerToken(name);
        report(`/${part}/headers/${verb}/${token}`, "is the gateway's own to set");
      });
    }
  }
  const { path, replacePrefix } = request ?? {};
  if (path !== undefined && replacePrefix !== undefined) {
    report("/request/path", "and replacePrefix exclude each other");
  }
  if (replacePrefix !== undefined && match.path?.prefix === undefined) {
    report("/request/replacePrefix", "needs match.path.prefix");
  }
  const names = new Set(templateNames(match.path?.template ?? ""));
  for (const name of templateNames(path ?? "")) {
    if (!names.has(name)) report("/request/path", `names {${name}}, which match.path.template does not have`);
  }
  if (mirror && match.methods?.every((method) => method === "CONNECT")) {
    report("/mirror", "cannot copy a tunnel");
  }
}

function checkPolicies({ ip, cors, auth, limits }: RouteSpec, report: Report): void {
  for (const list of ["allow", "deny"] as const) {
    ip?.[list]?.forEach((network, index) => {
      if (!isNetwork(network)) report(`/ip/${list}/${index}`, "is not an address or a network");
    });
  }
  if (cors?.origins.includes("*")) {
    if (cors.origins.length > 1) report("/cors/origins", "has * beside others");
    if (cors.credentials) report("/cors/credentials", "cannot be with the origin *: name the origins");
  }
  const { issuer, jwksUrl, claimHeaders } = auth?.jwt ?? {};
  if (issuer !== undefined && jwksUrl === undefined && !/^https?:\/\/[^\s]+$/.test(issuer)) {
    report("/auth/jwt/issuer", "must be a URL, as its keys are found below it; or name jwksUrl");
  }
  if (issuer === undefined && jwksUrl !== undefined) report("/auth/jwt/issuer", "is required with jwksUrl");
  for (const [claim, name] of Object.entries(claimHeaders ?? {})) {
    if (ownFields.has(name.toLowerCase()) || name.toLowerCase() === "authorization") {
      report(`/auth/jwt/claimHeaders/${pointerToken(claim)}`, "is not a field that can be set");
    }
  }
  if (auth && !auth.jwt && !auth.apiKey) report("/auth", "must have jwt, apiKey or both");
  const names = rateNames(limits?.rate ?? []);
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) report(`/limits/rate/${index}/name`, `${name} is there already`);
  });
}

/**
 * They show in the RateLimit fields, and routes of a tenant share what is `per: tenant` by its name. So one that was
 * given none is called by its kind, wherever in the list it stands.
 */
export function rateNames(rates: readonly { name?: string; per?: string }[]): string[] {
  return rates.map(({ name, per = "client" }, index) => {
    if (name !== undefined) return name;
    const before = rates
      .slice(0, index)
      .filter((other) => other.name === undefined && (other.per ?? "client") === per);
    return before.length === 0 ? per : `${per}-${before.length + 1}`;
  });
}

function isNetwork(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const family = isIP(address);
  if (family === 0) return false;
  return bits === undefined || Number(bits) <= (family === 4 ? 32 : 128);
}
