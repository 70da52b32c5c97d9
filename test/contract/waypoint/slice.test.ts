import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { WaypointStage } from "../../support/waypoint/stage.ts";

const reviews = "10.96.1.1:80";
const stage = new WaypointStage();

before(async () => {
  stage.addIps("10.10.1.11", "10.10.2.11", "10.10.2.12", "10.10.2.13", "10.10.1.10");
  for (const ip of ["10.10.1.11", "10.10.2.11"])
    await stage.listen(
      createServer((request, response) => {
        response.end(`${ip} ${request.method} ${request.url} host=${request.headers.host}`);
      }),
      ip,
      8080,
    );
  await stage.ztunnel("10.10.1.11", "shop/reviews");
  await stage.ztunnel("10.10.2.11", "shop/reviews");
  await stage.start();
});

after(() => stage.close());

test("a request through the tunnel reaches a pod of the service", async () => {
  const client = await stage.client("shop/web", "10.10.1.10");
  const answer = await stage.get(client, reviews, "/hello?x=1");
  assert.equal(answer.status, 200, stage.log.join(""));
  assert.match(answer.body, /^10\.10\.[12]\.11 GET \/hello\?x=1 host=reviews\.shop$/);
  assert.deepEqual(stage.player.refusals, []);
});
