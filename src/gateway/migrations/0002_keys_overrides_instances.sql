-- API keys of those who call routes: only their digests. A key that is withdrawn is deleted; the audit remembers it.
create table gateway_keys (
  tenant_id   text        not null,
  id          text        not null,
  name        text        not null,
  digest      text        not null,
  hint        text        not null,
  groups      jsonb       not null,
  created_at  timestamptz not null,
  expires_at  timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, name)
);
create unique index gateway_keys_digest on gateway_keys (digest);

-- What people set by hand on a backend, until they take it back or its time is over.
create table gateway_overrides (
  tenant_id   text        not null,
  backend     text        not null,
  breaker     text        check (breaker in ('open', 'closed')),
  draining    boolean     not null,
  reason      text        not null,
  subject     text        not null,
  created_at  timestamptz not null,
  until       timestamptz,
  primary key (tenant_id, backend)
);

-- Instances of services, registered by themselves. A heartbeat moves expires_at and makes no revision.
create table gateway_instances (
  tenant_id    text        not null,
  service      text        not null,
  id           text        not null,
  url          text        not null,
  weight       integer     not null check (weight between 0 and 1000),
  labels       jsonb       not null,
  ttl_seconds  integer     not null check (ttl_seconds between 1 and 86400),
  expires_at   timestamptz not null,
  created_at   timestamptz not null,
  primary key (tenant_id, service, id)
);
create index gateway_instances_expiry on gateway_instances (expires_at);

alter table gateway_keys enable row level security;
alter table gateway_keys force row level security;
create policy tenant on gateway_keys using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_overrides enable row level security;
alter table gateway_overrides force row level security;
create policy tenant on gateway_overrides using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table gateway_instances enable row level security;
alter table gateway_instances force row level security;
create policy tenant on gateway_instances using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
