/** SPIFFE identities of the one form that the mesh uses: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`. */

export interface SpiffeIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const FORM = /^spiffe:\/\/([a-z0-9._-]+)\/ns\/([^/\s]+)\/sa\/([^/\s]+)$/;

/** Undefined for anything that is not exactly of that form; such a name is no identity (wire/ztunnel.md section 2). */
export function parseSpiffe(uri: string): SpiffeIdentity | undefined {
  const match = FORM.exec(uri);
  if (match === null) return undefined;
  const [, trustDomain = "", namespace = "", serviceAccount = ""] = match;
  return { trustDomain, namespace, serviceAccount };
}

export function formatSpiffe(identity: SpiffeIdentity): string {
  return `spiffe://${spiffePrincipal(identity)}`;
}

/** The identity without its scheme, as policies write it. */
export function spiffePrincipal(identity: SpiffeIdentity): string {
  return `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

export function sameIdentity(a: SpiffeIdentity, b: SpiffeIdentity): boolean {
  return (
    a.namespace === b.namespace &&
    a.serviceAccount === b.serviceAccount &&
    a.trustDomain === b.trustDomain
  );
}
