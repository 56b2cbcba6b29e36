-- Configurations: documents of a service in an environment. A version never changes; what is in force is current_version,
-- which deployments move, and nobody else.
create table configs (
  tenant_id        text        not null,
  name             text        not null,
  service          text        not null,
  environment      text        not null,
  format           text        not null check (format in ('json', 'yaml', 'toml', 'properties')),
  description      text        not null,
  labels           jsonb       not null,
  -- the schema that each version must fit; a null version is the latest in force
  schema_subject   text,
  schema_version   integer     check (schema_version > 0),
  current_version  integer,
  -- the one to go on from: written last, or what it was rolled back to
  latest_version   integer,
  -- the last number that was given out: no number comes twice
  last_version     integer     not null default 0,
  -- its ETag: grows with every change of this row by people
  revision         integer     not null default 1,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  primary key (tenant_id, name)
);
create index configs_service on configs (tenant_id, service, environment);
create index configs_schema on configs (tenant_id, schema_subject) where schema_subject is not null;

create table config_versions (
  tenant_id       text        not null,
  config          text        not null,
  version         integer     not null check (version > 0),
  -- SHA-256 of the canonical JSON (RFC 8785) of the value, and of the schema that it was held against
  hash            text        not null,
  -- as it was written, comments and all
  text            text        not null,
  value           jsonb       not null,
  note            text        not null,
  author          text        not null,
  -- the version that it was made from; null for the first
  parent          integer,
  schema_subject  text,
  schema_version  integer,
  -- names of the secrets that it refers to
  secrets         jsonb       not null,
  -- {config, version, hash} that it was promoted from, or null
  origin          jsonb,
  created_at      timestamptz not null,
  primary key (tenant_id, config, version),
  unique (tenant_id, config, hash),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- What each author is writing: one draft for each configuration and author, valid or not.
create table config_drafts (
  tenant_id   text        not null,
  config      text        not null,
  author      text        not null,
  text        text        not null,
  -- the latest version when it was begun
  parent      integer,
  revision    integer     not null default 1,
  updated_at  timestamptz not null,
  primary key (tenant_id, config, author),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- What happened to a configuration, newest last by id (UUIDv7). Kept as long as the configuration.
create table config_events (
  tenant_id     text        not null,
  config        text        not null,
  id            uuid        not null,
  -- version: one was written · promoted: one was made from another's · current: another one is in force
  -- rolled_back: from_version is not, or no longer · deleted: one went
  type          text        not null check (type in ('version', 'promoted', 'current', 'rolled_back', 'deleted')),
  version       integer     not null,
  from_version  integer,
  author        text        not null,
  note          text        not null,
  deployment    text,
  created_at    timestamptz not null,
  primary key (tenant_id, config, id),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- Names of secrets that configurations can refer to. The value is in the store of secrets, under `stored_as`, so that
-- what this table says and the value it means change at the same moment.
create table config_secrets (
  tenant_id   text        not null,
  name        text        not null,
  stored_as   text        not null,
  revision    integer     not null default 1,
  author      text        not null,
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  primary key (tenant_id, name)
);

alter table configs enable row level security;
alter table configs force row level security;
create policy tenant on configs using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table config_versions enable row level security;
alter table config_versions force row level security;
create policy tenant on config_versions using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table config_drafts enable row level security;
alter table config_drafts force row level security;
create policy tenant on config_drafts using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table config_events enable row level security;
alter table config_events force row level security;
create policy tenant on config_events using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table config_secrets enable row level security;
alter table config_secrets force row level security;
create policy tenant on config_secrets using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
