/** Bearer tokens of gRPC calls, checked against the state directory's key. Used by the certificate and the xDS servers. */
import { createPublicKey, type KeyObject } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { verifyToken } from "../../shared/identity/token.ts";
import { type Authenticate, AuthenticationError } from "./caller.ts";

const BEARER = /^Bearer ([!-~]+)$/i;
/** Longer than any token; saves the work on nonsense. */
const MAX_HEADER_LENGTH = 16_384;

function bearerToken(metadata: Metadata): string {
  const [header, ...more] = metadata.get("authorization");
  if (header === undefined) throw new AuthenticationError("no authorization header");
  if (more.length > 0) throw new AuthenticationError("more than one authorization header");
  const text = header.toString();
  const token = text.length > MAX_HEADER_LENGTH ? undefined : BEARER.exec(text)?.[1];
  if (token === undefined)
    throw new AuthenticationError("the authorization header carries no bearer token");
  return token;
}

export function createAuthenticator(signingKey: KeyObject, clock: Clock): Authenticate {
  const publicKey = createPublicKey(signingKey);
  return async (metadata) => {
    const token = bearerToken(metadata);
    try {
      const { namespace, serviceAccount, node } = await verifyToken(
        publicKey,
        token,
        clock.wallMs(),
      );
      return { namespace, serviceAccount, ...(node === undefined ? {} : { node }) };
    } catch (thrown) {
      throw new AuthenticationError(describeError(thrown), { cause: thrown });
    }
  };
}
