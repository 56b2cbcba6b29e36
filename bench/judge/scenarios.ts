/** What is simulated: 120 looks of a minute each, of versions that are the same, and of versions that are worse. */

/** A unit of either version answers with errors for a while, then recovers. */
export interface Bursts {
  /** That a unit begins one, at each look. */
  readonly chance: number;
  readonly looks: number;
  /** Error rate of that unit meanwhile. */
  readonly rate: number;
}

export interface Scenario {
  readonly name: string;
  readonly group: "same" | "worse" | "clustered";
  readonly looks: number;
  /** Of both versions in one look, on average. */
  readonly requests: number;
  /** Of the canary, 0 to 1. */
  readonly share: (look: number) => number;
  readonly errorRate: number;
  /** The canary's error rate and p99, times the control's. The median stays: the tail alone grows. */
  readonly timesErrors: number;
  readonly timesP99: number;
  /** Latency is log-normal. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Times the error rate of both, and times the traffic, at a look. */
  readonly drift?: (look: number) => number;
  readonly traffic?: (look: number) => number;
  /**
   * Instances of the canary, of its baseline and of the rest of the control; each serves an equal part of the requests.
   * Then the target says what each of them counted, as that of configurations does.
   */
  readonly units?: number;
  /**
   * The target is a route: it says what groups of callers counted, and what backends did. Its units are the backends of
   * each version; or, if it says how many, those that call both versions together, each as often.
   */
  readonly route?: { readonly callers?: number };
  readonly bursts?: Bursts;
  /**
   * What units of a configuration count apart from errors: requests slower than a bound of their own, or a counter that
   * the policy names. Then `errorRate`, `timesErrors`, bursts and `uneven` are about these, and errors stay at 0.1 %.
   */
  readonly counts?: "slow" | "counter";
  /** Each unit, of either version, has by this chance errors so many times as often as the others, always. */
  readonly uneven?: { readonly chance: number; readonly timesErrors: number };
  /** Whether "found in at least 99 %" is asked of it. */
  readonly isRequired?: boolean;
}

const looks = 120;
const tenth = () => 0.1;
const phases = (look: number) => (look < 40 ? 0.1 : look < 80 ? 0.3 : 0.5);
const ordinary = { looks, share: tenth, timesErrors: 1, timesP99: 1, p50Ms: 40, p99Ms: 200 };
const shareNames = new Map<(look: number) => number, string>([
  [tenth, "10 %"],
  [phases, "10/30/50 %"],
]);
const thousands = (count: number) => count.toLocaleString("en-US");

type Varied = Partial<Scenario> & Pick<Scenario, "requests" | "errorRate">;

function scenario(group: Scenario["group"], what: string, varied: Varied): Scenario {
  const share = shareNames.get(varied.share ?? tenth)!;
  const event = varied.counts === undefined ? "errors" : varied.counts === "slow" ? "slow" : "counted";
  const name = `${what}, ${event} ${varied.errorRate * 100} %, ${thousands(varied.requests)}/min, ${share}`;
  return { ...ordinary, ...varied, group, name };
}

const same = (varied: Varied, what = "same") => scenario("same", what, varied);
const triple = (varied: Varied, what = "3 × errors") =>
  scenario("worse", what, { ...varied, timesErrors: 3 });
const tail = (varied: Varied) => scenario("worse", "p99 + 50 %", { ...varied, timesP99: 1.5 });
const clustered = (what: string, bursts: Bursts, share: Scenario["share"] = tenth) =>
  scenario("clustered", what, { requests: 1000, errorRate: 0.001, units: 10, bursts, share });

export const scenarios: readonly Scenario[] = [
  same({ requests: 100, errorRate: 0.01 }),
  same({ requests: 1000, errorRate: 0.01 }),
  same({ requests: 10_000, errorRate: 0.01 }),
  same({ requests: 100, errorRate: 0.001 }),
  same({ requests: 1000, errorRate: 0.001 }),
  same({ requests: 10_000, errorRate: 0.001 }),
  same({ requests: 1000, errorRate: 0.01, share: phases }),
  same({ requests: 1000, errorRate: 0.001, share: phases }),
  same(
    {
      ...{ requests: 1000, errorRate: 0.01, share: phases },
      drift: (look) => (look < 60 ? 1 : 3),
      traffic: (look) => 1 + 0.9 * Math.sin((look / looks) * 2 * Math.PI),
    },
    "same, errors of both × 3 half-way, traffic ± 90 %",
  ),
  same({ requests: 1000, errorRate: 0.01, units: 10 }, "same, counted by unit"),
  same({ requests: 1000, errorRate: 0.01, units: 3, route: {} }, "same, of a route with 3 backends"),
  triple({ requests: 100, errorRate: 0.01 }),
  triple({ requests: 100, errorRate: 0.01, share: phases, isRequired: true }),
  triple({ requests: 1000, errorRate: 0.01, isRequired: true }),
  triple({ requests: 10_000, errorRate: 0.01, isRequired: true }),
  triple({ requests: 1000, errorRate: 0.01, units: 10, isRequired: true }, "3 × errors, counted by unit"),
  triple(
    { requests: 1000, errorRate: 0.01, units: 3, route: {}, isRequired: true },
    "3 × errors, of a route with 3 backends",
  ),
  triple(
    { requests: 1000, errorRate: 0.01, route: { callers: 200 }, isRequired: true },
    "3 × errors, of a route with 200 callers",
  ),
  triple({ requests: 1000, errorRate: 0.001 }),
  triple({ requests: 1000, errorRate: 0.001, share: phases, isRequired: true }),
  triple({ requests: 10_000, errorRate: 0.001, isRequired: true }),
  tail({ requests: 100, errorRate: 0.001 }),
  tail({ requests: 100, errorRate: 0.001, share: phases, isRequired: true }),
  tail({ requests: 1000, errorRate: 0.001, isRequired: true }),
  tail({ requests: 10_000, errorRate: 0.001, isRequired: true }),
  clustered("1 of 10 units 30 % bad for 1 min", { chance: 0.005, looks: 1, rate: 0.3 }),
  clustered("1 of 10 units 30 % bad for 3 min", { chance: 0.005, looks: 3, rate: 0.3 }),
  clustered("1 of 10 units 30 % bad for 3 min", { chance: 0.005, looks: 3, rate: 0.3 }, phases),
  scenario("clustered", "a route, 1 of 10 backends 30 % bad for 3 min", {
    ...{ requests: 1000, errorRate: 0.001, units: 10, route: {} },
    bursts: { chance: 0.005, looks: 3, rate: 0.3 },
  }),
  scenario("clustered", "a route, 1 of 3 backends 30 % bad for 3 min", {
    ...{ requests: 1000, errorRate: 0.001, units: 3, route: {} },
    bursts: { chance: 0.005, looks: 3, rate: 0.3 },
  }),
  scenario("clustered", "a route, 1 of 200 callers fails always for 3 min", {
    ...{ requests: 1000, errorRate: 0.001, route: { callers: 200 } },
    bursts: { chance: 0.0005, looks: 3, rate: 1 },
  }),
  scenario("clustered", "a route, 1 of 1,000 callers fails always for 30 min", {
    ...{ requests: 10_000, errorRate: 0.001, route: { callers: 1000 } },
    bursts: { chance: 0.0005, looks: 30, rate: 1 },
  }),
  scenario("clustered", "1 of 10 units with 20 × the errors", {
    ...{
      requests: 1000,
      errorRate: 0.001,
      units: 10,
      uneven: { chance: 0.1, timesErrors: 20 },
      share: phases,
    },
  }),
  ...(["slow", "counter"] as const).flatMap((counts) => {
    const [ofUnits, what] = [{ requests: 1000, units: 10, counts }, counts === "slow" ? "slow" : "a counter"];
    return [
      same({ ...ofUnits, errorRate: 0.01 }, `same, ${what} by unit`),
      triple({ ...ofUnits, errorRate: 0.01, isRequired: true }, `3 × ${what} by unit`),
      scenario("clustered", `${what}, 1 of 10 units 30 % bad for 3 min`, {
        ...{ ...ofUnits, errorRate: 0.001 },
        bursts: { chance: 0.005, looks: 3, rate: 0.3 },
      }),
    ];
  }),
];
