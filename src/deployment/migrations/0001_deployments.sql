-- Deployments: the events are the truth, the row is their fold and what the engine needs beside it.
create table deployments (
  tenant_id     text        not null,
  id            uuid        not null,
  kind          text        not null,
  target        text        not null,
  environment   text,
  strategy      text        not null,
  status        text        not null,
  -- From its start to its end it has its target for itself.
  occupies      boolean     not null default false,
  -- What was asked for, with its defaults; never changed.
  spec          jsonb       not null,
  version_from  jsonb,
  version_to    jsonb       not null,
  -- The fold of the events up to seq.
  state         jsonb       not null,
  seq           bigint      not null,
  -- Grows whenever another owner takes over; who writes names the one that it knows.
  epoch         bigint      not null,
  group_id      uuid,
  group_name    text,
  progress      jsonb,
  -- The judge's state, so that another owner goes on from it; replayable from deployment_health.
  judge         jsonb,
  verdicts      jsonb       not null,
  cursor        jsonb,
  trouble       jsonb,
  trace         jsonb,
  freeze_override jsonb,
  created_by    text        not null,
  created_at    timestamptz not null,
  started_at    timestamptz,
  ended_at      timestamptz,
  wake_at       timestamptz not null,
  lease_owner   text,
  lease_until   timestamptz,
  primary key (tenant_id, id)
);
create unique index deployments_one_active on deployments (tenant_id, kind, target) where occupies;
create index deployments_open on deployments (lease_until) where ended_at is null;
create index deployments_target on deployments (tenant_id, kind, target, id);
create index deployments_group on deployments (tenant_id, group_id) where group_id is not null;
create index deployments_ended on deployments (ended_at) where ended_at is not null;

create table deployment_events (
  tenant_id   text        not null,
  deployment  uuid        not null,
  seq         bigint      not null,
  epoch       bigint      not null,
  at          timestamptz not null,
  type        text        not null,
  payload     jsonb       not null,
  primary key (tenant_id, deployment, seq)
);

-- The generation of a target grows with every change of what it should be, over all its deployments.
create table deployment_targets (
  tenant_id   text        not null,
  kind        text        not null,
  target      text        not null,
  generation  bigint      not null,
  -- What the last deployment left in force, and when.
  version     jsonb,
  settled_at  timestamptz,
  primary key (tenant_id, kind, target)
);

create table deployment_health (
  tenant_id   text        not null,
  deployment  uuid        not null,
  number      bigint      not null,
  at          timestamptz not null,
  sample      jsonb       not null,
  verdict     jsonb,
  primary key (tenant_id, deployment, number)
);
create index deployment_health_at on deployment_health (at);

create table deployment_freezes (
  tenant_id    text        not null,
  id           uuid        not null,
  version      integer     not null,
  kind         text,
  environment  text,
  target       text,
  from_at      timestamptz not null,
  to_at        timestamptz not null,
  reason       text        not null,
  created_by   text        not null,
  created_at   timestamptz not null,
  primary key (tenant_id, id)
);
create index deployment_freezes_to on deployment_freezes (tenant_id, to_at);

alter table deployments enable row level security;
alter table deployments force row level security;
create policy tenant on deployments using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table deployment_events enable row level security;
alter table deployment_events force row level security;
create policy tenant on deployment_events using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table deployment_targets enable row level security;
alter table deployment_targets force row level security;
create policy tenant on deployment_targets using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table deployment_health enable row level security;
alter table deployment_health force row level security;
create policy tenant on deployment_health using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table deployment_freezes enable row level security;
alter table deployment_freezes force row level security;
create policy tenant on deployment_freezes using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
