-- What a tenant has in the gateway changes in revisions, each part of it by itself. Who makes one holds its row until
-- the end of the transaction, so revisions of a part are made one after the other; nodes follow them.
--
-- A route's row is never edited: a change closes the version that
-- was in force (until_revision) and adds the next, so that the set of any kept revision R is
--   from_revision <= R and (until_revision is null or until_revision > R)
-- and what changed since R is found without a comparison.
create table gateway_revisions (
  tenant_id   text        not null,
  part        text        not null check (part in ('routes', 'keys', 'overrides', 'instances')),
  revision    bigint      not null,
  updated_at  timestamptz not null,
  primary key (tenant_id, part)
);

create table gateway_routes (
  tenant_id       text        not null,
  id              text        not null,
  version         integer     not null,
  name            text        not null,
  -- What it matches, '*' for any: a claim in gateway_hosts.
  host            text        not null,
  labels          jsonb       not null,
  enabled         boolean     not null,
  spec            jsonb       not null,
  from_revision   bigint      not null,
  until_revision  bigint,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (tenant_id, id, version)
);
create unique index gateway_routes_current on gateway_routes (tenant_id, id) where until_revision is null;
create unique index gateway_routes_name on gateway_routes (tenant_id, name) where until_revision is null;
create index gateway_routes_host on gateway_routes (tenant_id, host) where until_revision is null;
create index gateway_routes_from on gateway_routes (tenant_id, from_revision);
create index gateway_routes_until on gateway_routes (tenant_id, until_revision) where until_revision is not null;

-- Which tenant a host belongs to: the one whose route named it first. Over all tenants a host is unique, so that
-- nobody takes the requests of another.
create table gateway_hosts (
  tenant_id  text not null,
  host       text not null,
  primary key (tenant_id, host)
);
create unique index gateway_hosts_owner on gateway_hosts (host);

alter table gateway_revisions enable row level security;
alter table gateway_revisions force row level security;
create policy tenant on gateway_revisions using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_routes enable row level security;
alter table gateway_routes force row level security;
create policy tenant on gateway_routes using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_hosts enable row level security;
alter table gateway_hosts force row level security;
create policy tenant on gateway_hosts using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
