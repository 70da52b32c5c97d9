import assert from "node:assert/strict";
import { executionAsyncId } from "node:async_hooks";
import { test } from "node:test";
import { CallbackScope } from "../../../../src/shared/os/callback-scope.ts";
import { descriptorOf } from "../../../../src/shared/os/descriptor.ts";
import { closeDescriptor, duplicate } from "../../../../src/shared/os/libc.ts";
import { UV_WRITABLE, UvPoll } from "../../../../src/shared/os/uv-poll.ts";
import { socketPair } from "../../../support/hbone.ts";

test("this Node has a scope, and what is thrown in it is thrown to the caller", () => {
  const scope = CallbackScope.find();
  assert.ok(scope);
  let ran = 0;
  scope.run(() => ran++);
  assert.equal(ran, 1);
  assert.throws(
    () =>
      scope.run(() => {
        throw new Error("inside");
      }),
    /inside/,
  );
  scope.run(() => ran++);
  assert.equal(ran, 2);
});

test("after a call from C promises and ticks go on at once, inside a scope of Node's", async () => {
  const { near, far } = await socketPair();
  const fd = duplicate(descriptorOf(near) ?? -1);
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    const poll = new UvPoll(fd, () => {
      poll.close();
      order.push("event");
      setImmediate(() => {
        order.push("immediate");
        resolve();
      });
      void Promise.resolve().then(() => order.push("promise"));
      process.nextTick(() => order.push(executionAsyncId() > 0 ? "tick" : "tick without a scope"));
    });
    poll.want(UV_WRITABLE);
  });
  assert.deepEqual(order, ["event", "tick", "promise", "immediate"]);
  closeDescriptor(fd);
  near.destroy();
  far.destroy();
});
