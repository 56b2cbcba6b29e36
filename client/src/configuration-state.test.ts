import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfigDocument, ConfigurationState } from "./configuration-state.ts";

const document = (version: number): ConfigDocument => ({
  ...{ config: "c", version, hash: `h${version}`, revision: version, format: "json", value: { version } },
});
const runs = (state: ConfigurationState) => state.running("c")?.version;
/** As the next process finds it. */
const restart = (state: ConfigurationState) =>
  ConfigurationState.boot(JSON.parse(JSON.stringify(state.save())));
function proven(version: number): ConfigurationState {
  const state = ConfigurationState.boot(undefined);
  state.begin(document(version), null);
  state.prove("c");
  return state;
}

test("a version after which the process ended twice is left for the one before", () => {
  let state = proven(1);
  state.begin(document(2), "d1");
  state = restart(state);
  assert.equal(runs(state), 2, "once may have been chance");
  state = restart(state);
  assert.equal(runs(state), 1);
  const [refusal] = state.refusals;
  assert.deepEqual([refusal?.version, refusal?.deployment, refusal?.crashed], [2, "d1", true]);
  for (let n = 0; n < 3; n++) state = restart(state);
  assert.equal(runs(state), 1, "and so it stays");
  const again = (deployment: string | null) => state.isRefused({ config: "c", hash: "h2", deployment });
  assert.deepEqual([again("d1"), again(null), again("d2")], [true, true, false]);
});

test("the first version of all is left for none", () => {
  let state = ConfigurationState.boot(undefined);
  state.begin(document(1), null);
  state = restart(restart(state));
  assert.deepEqual([runs(state), state.all().length], [undefined, 0]);
});

test("a process that ends in order, or lives long enough, has not ended by its version", () => {
  let state = proven(1);
  state.begin(document(2), null);
  for (let n = 0; n < 5; n++) {
    state.rest();
    state = restart(state);
  }
  assert.equal(runs(state), 2);
  state.prove("c");
  for (let n = 0; n < 5; n++) state = restart(state);
  assert.equal(runs(state), 2);
});

test("what an application throws is refused until the next start, and the one before stays", () => {
  const state = proven(1);
  state.begin(document(2), "d1");
  state.refuse(document(2), "too large");
  assert.deepEqual([runs(state), state.isRefused({ config: "c", hash: "h2", deployment: "d1" })], [1, true]);
  assert.deepEqual(restart(state).refusals, []);
  state.begin(document(3), null);
  state.prove("c");
  assert.deepEqual(state.refusals, [], "what came after it makes it history");
});

test("a version that comes while another proves itself falls back to that one", () => {
  let state = proven(1);
  state.begin(document(2), null);
  state.begin(document(3), null);
  state = restart(restart(state));
  assert.equal(runs(state), 2);
});
