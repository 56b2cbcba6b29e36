/** The start page: is it well, and what goes through it right now. */
import type { Health, Overview } from "../../../client/src/index.ts";
import { ago, bytes, count, duration, exact, plural, rate } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { Empty, Tile, Tiles } from "../parts/tile.tsx";
import { Command } from "../parts/twin.tsx";
import { href } from "../route.ts";
import { overview, serverNowMs, timeline } from "./live.ts";

export function OverviewPage() {
  const now = overview.value;
  if (!now) return <section class="page" aria-busy="true" />;
  return (
    <section class="page">
      <header class="page-head">
        <div>
          <h1>Overview</h1>
          <p class="muted">
            HotSwap {now.version}, up for {duration(serverNowMs() - Date.parse(now.startedAt))}
          </p>
        </div>
        <HealthSummary health={now.health} />
      </header>
      {now.messaging.topics === 0 && <FirstSteps />}
      <Numbers now={now} />
      <Charts />
      <div class="columns">
        <HealthChecks health={now.health} />
        <Totals now={now} />
      </div>
    </section>
  );
}

function Numbers({ now }: { now: Overview }) {
  timeline.revision.value; // subscribes
  const perSecond = (name: "published" | "delivered" | "acked") => rate(timeline.latest(name) ?? 0);
  return (
    <Tiles>
      <Tile label="Published" value={perSecond("published")} unit="/s">
        <Sparkline series={timeline} name="published" color={1} />
      </Tile>
      <Tile label="Delivered" value={perSecond("delivered")} unit="/s">
        <Sparkline series={timeline} name="delivered" color={2} />
      </Tile>
      <Tile label="Acknowledged" value={perSecond("acked")} unit="/s">
        <Sparkline series={timeline} name="acked" color={3} />
      </Tile>
      <Tile label="Backlog" value={count(now.messaging.depth)}>
        <Sparkline series={timeline} name="depth" color={1} />
      </Tile>
      <Tile label="In flight" value={count(now.messaging.inFlight)}>
        <Sparkline series={timeline} name="inFlight" color={2} />
      </Tile>
    </Tiles>
  );
}

function Charts() {
  return (
    <div class="charts">
      <Chart
        title="Messages per second"
        series={timeline}
        format={rate}
        syncKey="overview"
        lines={[
          { name: "published", label: "published", color: 1 },
          { name: "delivered", label: "delivered", color: 2 },
          { name: "acked", label: "acknowledged", color: 3 },
        ]}
      />
      <Chart
        title="Backlog"
        series={timeline}
        format={count}
        syncKey="overview"
        lines={[
          { name: "depth", label: "not acknowledged", color: 1 },
          { name: "inFlight", label: "in flight", color: 2 },
        ]}
      />
      <Chart
        title="Event-loop delay, p99"
        series={timeline}
        format={duration}
        syncKey="overview"
        height={120}
        lines={[{ name: "loopDelayMs", label: "delay", color: 1 }]}
      />
      <Chart
        title="Processor"
        series={timeline}
        format={(percent) => `${exact(percent)} %`}
        syncKey="overview"
        height={120}
        lines={[{ name: "cpuPercent", label: "of one core", color: 3 }]}
      />
      <Chart
        title="Memory"
        series={timeline}
        format={bytes}
        syncKey="overview"
        height={120}
        lines={[{ name: "rssBytes", label: "resident", color: 2 }]}
      />
    </div>
  );
}

const statusWords = {
  ok: "Everything is well",
  degraded: "Works, but not everything is well",
  down: "Not working",
};

function HealthSummary({ health }: { health: Health }) {
  return (
    <p class={`badge ${health.status}`}>
      <span class="dot" />
      {statusWords[health.status]}
    </p>
  );
}

function HealthChecks({ health }: { health: Health }) {
  return (
    <section class="panel">
      <h2>Health</h2>
      <ul>
        {health.checks.map(({ name, status, detail }) => (
          <li key={name} class={`check ${status}`}>
            <span class="dot" />
            <b>{name}</b>
            <span class="muted">{detail ?? status}</span>
            {status !== "ok" && <span class={`badge ${status}`}>{status}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Totals({ now }: { now: Overview }) {
  const { messaging, startedAt } = now;
  const rows: [string, string][] = [
    ["Topics", exact(messaging.topics)],
    ["Subscriptions", exact(messaging.subscriptions)],
    ["Stored", bytes(messaging.bytes)],
    ["Published", exact(messaging.publishedTotal)],
    ["Delivered", exact(messaging.deliveredTotal)],
    ["Delivered again", exact(messaging.redeliveredTotal)],
    ["Acknowledged", exact(messaging.ackedTotal)],
  ];
  return (
    <section class="panel">
      <h2>Since the start, {ago(serverNowMs() - Date.parse(startedAt))}</h2>
      <dl class="rows">
        {rows.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="see-more">
        <a href={href("topics")}>See {plural(messaging.topics, "topic")}</a>
      </p>
    </section>
  );
}

function FirstSteps() {
  return (
    <Empty title="Nothing goes through here yet">
      <p>Create a topic, publish to it, and watch it arrive. Use two terminals for the last two.</p>
      <Command text="hotswap topic create orders" />
      <Command text={`hotswap pub orders '{"id": 1}'`} />
      <Command text="hotswap sub orders" />
    </Empty>
  );
}
