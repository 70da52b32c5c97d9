/** A finished span, before it takes the form of a collector. */

export type SpanTag = readonly [key: string, value: string];

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly state: string | undefined;
  readonly name: string;
  readonly startWallMs: number;
  readonly durationMs: number;
  readonly tags: readonly SpanTag[];
  /** No answer, or one of 500 and above. */
  readonly failed: boolean;
  /** It goes on under the id that the client's span has. */
  readonly shared: boolean;
}
