import assert from "node:assert/strict";
import { it } from "node:test";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { SystemCallError, systemFailure, systemReason } from "../../../../src/shared/os/errno.ts";

it("names what failed and why, in words", () => {
  const busy = new SystemCallError("bind", 98);
  assert.deepEqual(
    [busy.call, busy.code, busy.message],
    ["bind", "EADDRINUSE", "address already in use"],
  );
  assert.equal(new SystemCallError("bind", 9999).message, "errno 9999");
  const failure = systemFailure("system-failed", "listen 15001 in /run/netns/x", busy);
  assert.ok(failure instanceof MeshError);
  assert.equal(failure.message, "listen 15001 in /run/netns/x: address already in use");
  assert.equal(failure.cause, busy);
});

it("finds the reason in errors of Node and in anything thrown", () => {
  const nodes = Object.assign(new Error("connect ECONNREFUSED 10.0.0.1:80"), { errno: -111 });
  assert.equal(systemReason(nodes), "connection refused");
  assert.equal(systemReason(new Error("plain")), "plain");
  assert.equal(systemReason("text"), "text");
});
