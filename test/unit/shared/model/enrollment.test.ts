import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decideEnrollment,
  type EnrollmentSubject,
  exclusionText,
  matchesSelector,
} from "../../../../src/shared/model/enrollment.ts";

const ambient = { "istio.io/dataplane-mode": "ambient" };
const none = { "istio.io/dataplane-mode": "none" };

const plain: EnrollmentSubject = {
  namespace: "shop",
  namespaceLabels: {},
  podLabels: {},
  podAnnotations: {},
  hostNetwork: false,
};

const table: readonly [string, Partial<EnrollmentSubject>, string][] = [
  ["no label", {}, "not-selected"],
  ["namespace label", { namespaceLabels: ambient }, "namespace-label"],
  ["pod label", { podLabels: ambient }, "pod-label"],
  [
    "pod label in a labelled namespace",
    { podLabels: ambient, namespaceLabels: ambient },
    "pod-label",
  ],
  ["opt-out in a labelled namespace", { podLabels: none, namespaceLabels: ambient }, "opted-out"],
  ["opt-out alone", { podLabels: none }, "opted-out"],
  [
    "namespace says none, pod says ambient",
    { podLabels: ambient, namespaceLabels: none },
    "pod-label",
  ],
  [
    "another value of the namespace label",
    { namespaceLabels: { "istio.io/dataplane-mode": "sidecar" } },
    "not-selected",
  ],
  ["host network", { namespaceLabels: ambient, hostNetwork: true }, "host-network"],
  ["host network with its own label", { podLabels: ambient, hostNetwork: true }, "host-network"],
  [
    "sidecar",
    { namespaceLabels: ambient, podAnnotations: { "sidecar.istio.io/status": "{}" } },
    "sidecar-injected",
  ],
  [
    "excluded namespace",
    { namespace: "kube-system", namespaceLabels: ambient },
    "namespace-excluded",
  ],
  ["finished", { namespaceLabels: ambient, phase: "Succeeded" }, "pod-finished"],
  ["failed", { namespaceLabels: ambient, phase: "Failed" }, "pod-finished"],
  ["pending", { namespaceLabels: ambient, phase: "Pending" }, "namespace-label"],
];

for (const [name, subject, expected] of table) {
  test(`enrollment: ${name}`, () => {
    const decision = decideEnrollment({ ...plain, ...subject });
    assert.equal(decision.enrolled ? decision.by : decision.reason, expected);
    if (!decision.enrolled) assert.ok(exclusionText[decision.reason].length > 0);
  });
}

test("rules are configurable: any entry counts, both selectors of an entry must match", () => {
  const rules = {
    selectors: [
      {
        podSelector: { matchLabels: { team: "a" } },
        namespaceSelector: { matchLabels: { mesh: "on" } },
      },
    ],
    excludeNamespaces: ["locked"],
  };
  const both = { ...plain, podLabels: { team: "a" }, namespaceLabels: { mesh: "on" } };
  assert.deepEqual(decideEnrollment(both, rules), { enrolled: true, by: "selector" });
  assert.equal(decideEnrollment({ ...both, namespaceLabels: {} }, rules).enrolled, false);
  assert.equal(decideEnrollment({ ...both, namespace: "locked" }, rules).enrolled, false);
});

test("label selectors follow Kubernetes", () => {
  const labels = { a: "1" };
  const holds = (
    operator: "In" | "NotIn" | "Exists" | "DoesNotExist",
    key: string,
    values: string[] = [],
  ) => matchesSelector({ matchExpressions: [{ key, operator, values }] }, labels);
  assert.ok(matchesSelector(undefined, labels) && matchesSelector({}, labels));
  assert.ok(holds("In", "a", ["1", "2"]) && !holds("In", "a", ["2"]) && !holds("In", "b", ["1"]));
  assert.ok(
    holds("NotIn", "a", ["2"]) && holds("NotIn", "b", ["1"]) && !holds("NotIn", "a", ["1"]),
  );
  assert.ok(holds("Exists", "a") && !holds("Exists", "b") && holds("DoesNotExist", "b"));
  assert.ok(
    !matchesSelector({ matchLabels: { toString: "x" } }, labels),
    "inherited names are no labels",
  );
});
