/** The one method by which certificates are asked for (wire/ztunnel.md section 2). */
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from "../wire/gen/istio/v1/auth/ca_pb.js";
import { grpcMethod } from "./methods.ts";

export const createCertificateMethod = grpcMethod({
  path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
  input: IstioCertificateRequestSchema,
  output: IstioCertificateResponseSchema,
  requestStream: false,
  responseStream: false,
});

/** Key of the request's metadata that names another identity than the caller's own. */
export const IMPERSONATED_IDENTITY = "ImpersonatedIdentity";
