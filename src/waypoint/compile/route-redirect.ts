/** Routes that answer themselves: redirects and direct responses. */
import type { DataSource } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  RedirectAction_RedirectResponseCode as Code,
  type DirectResponseAction,
  DirectResponseActionSchema,
  type RedirectAction,
  RedirectActionSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { Redirect, RouteAction } from "../model/route.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";
import { compileRewrite } from "./regex.ts";

const redirectFields = {
  used: [
    "https_redirect",
    "scheme_redirect",
    "host_redirect",
    "port_redirect",
    "path_redirect",
    "prefix_rewrite",
    "regex_rewrite",
    "response_code",
    "strip_query",
  ],
};

const statuses = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
} as const;

export function compileRedirect(redirect: RedirectAction, path: Path, notes: Notes): RouteAction {
  checkFields(redirect, RedirectActionSchema, path, notes, redirectFields);
  const status = statuses[redirect.responseCode];
  if (status === undefined)
    throw new CompileError(at(path, "response_code"), `${redirect.responseCode} is unknown`);
  const { schemeRewriteSpecifier: scheme } = redirect;
  return {
    kind: "redirect",
    redirect: {
      status,
      scheme: scheme.case === "schemeRedirect" && scheme.value !== "" ? scheme.value : undefined,
      httpsRedirect: scheme.case === "httpsRedirect" && scheme.value,
      host: redirect.hostRedirect === "" ? undefined : redirect.hostRedirect,
      port: redirect.portRedirect === 0 ? undefined : redirect.portRedirect,
      path: pathOf(redirect, path, notes),
      stripQuery: redirect.stripQuery,
    },
  };
}

function pathOf(redirect: RedirectAction, path: Path, notes: Notes): Redirect["path"] {
  const { pathRewriteSpecifier: rewrite } = redirect;
  switch (rewrite.case) {
    case "pathRedirect":
      return rewrite.value === "" ? { kind: "none" } : { kind: "full", path: rewrite.value };
    case "prefixRewrite":
      return rewrite.value === ""
        ? { kind: "none" }
        : { kind: "prefix", replacement: rewrite.value };
    case "regexRewrite":
      return { kind: "regex", ...compileRewrite(rewrite.value, at(path, "regex_rewrite"), notes) };
    default:
      return { kind: "none" };
  }
}

const directFields = { used: ["status", "body"] };

export function compileDirectResponse(
  direct: DirectResponseAction,
  maxBodyBytes: number,
  path: Path,
  notes: Notes,
): RouteAction {
  checkFields(direct, DirectResponseActionSchema, path, notes, directFields);
  const { status } = direct;
  if (status < 200 || status > 599)
    throw new CompileError(at(path, "status"), `${status} is not between 200 and 599`);
  const body = direct.body === undefined ? "" : bodyOf(direct.body, at(path, "body"));
  if (Buffer.byteLength(body) > maxBodyBytes)
    throw new CompileError(
      at(path, "body"),
      `has ${Buffer.byteLength(body)} octets; the limit is ${maxBodyBytes}`,
    );
  return { kind: "direct", status, body };
}

function bodyOf({ specifier }: DataSource, path: Path): string {
  switch (specifier.case) {
    case "inlineString":
      return specifier.value;
    case "inlineBytes": {
      const text = Buffer.from(specifier.value).toString("utf8");
      if (!Buffer.from(text).equals(specifier.value))
        throw new CompileError(at(path, "inline_bytes"), "is not UTF-8 text");
      return text;
    }
    case undefined:
      return "";
    default:
      throw new CompileError(path, `a body from a ${specifier.case} is not supported`);
  }
}
