-- Deployments of routes. A version is what a deployment leads to: a whole route, by the SHA-256 of its canonical text.
-- How callers are told apart is asked for together with it, and taken over by the split when that begins.
create table gateway_route_versions (
  tenant_id  text        not null,
  route      text        not null,
  hash       text        not null,
  spec       jsonb       not null,
  unit       jsonb       not null,
  tester     jsonb,
  used_at    timestamptz not null,
  primary key (tenant_id, route, hash)
);

-- How a route is divided between two of its versions. It changes with the revisions of the routes, so nodes follow it
-- with them. The row outlives the deployment: the generation that it has seen is a fence, and never goes back.
create table gateway_splits (
  tenant_id   text        not null,
  route       text        not null,
  deployment  text        not null,
  generation  bigint      not null,
  active      boolean     not null,
  seed        text        not null,
  bound       bigint      not null check (bound between 0 and 4294967296),
  to_hash     text        not null,
  unit        jsonb       not null,
  tester      jsonb,
  revision    bigint      not null,
  updated_at  timestamptz not null,
  primary key (tenant_id, route)
);
create index gateway_splits_revision on gateway_splits (tenant_id, revision);

-- What a node serves of a split, and what it has counted since the split is there. Totals, so that a write that is
-- done twice, or whose outcome nobody knows, does no harm.
create table gateway_split_nodes (
  tenant_id   text        not null,
  route       text        not null,
  node        text        not null,
  deployment  text        not null,
  generation  bigint      not null,
  totals      jsonb       not null,
  problem     text,
  updated_at  timestamptz not null default clock_timestamp(),
  primary key (tenant_id, route, node)
);

-- Nodes with a data plane: one row a life of a process. Not tenant data. Times are the database's own.
create table gateway_nodes (
  id            text        primary key,
  heartbeat_at  timestamptz not null default clock_timestamp()
);

alter table gateway_route_versions enable row level security;
alter table gateway_route_versions force row level security;
create policy tenant on gateway_route_versions using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_splits enable row level security;
alter table gateway_splits force row level security;
create policy tenant on gateway_splits using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_split_nodes enable row level security;
alter table gateway_split_nodes force row level security;
create policy tenant on gateway_split_nodes using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
