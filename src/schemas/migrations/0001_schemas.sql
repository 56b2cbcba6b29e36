-- The schema registry. A text is kept once for a tenant, under a number that is the schema's id for serializers
-- (the Confluent registry's global id); a version of a subject names a text and has a life of its own.
create sequence schema_numbers as integer;

create table schema_texts (
  tenant_id   text        not null,
  number      integer     not null default nextval('schema_numbers'),
  -- SHA-256 of the canonical JSON (RFC 8785)
  hash        text        not null,
  draft       text        not null check (draft in ('2020-12', 'draft-07')),
  -- as it was registered; text, because a counter-example or a default may hold what jsonb cannot
  text        text        not null,
  created_at  timestamptz not null,
  primary key (tenant_id, number),
  unique (tenant_id, hash)
);

create table schema_subjects (
  tenant_id      text        not null,
  name           text        not null,
  -- null: as the tenant's default has it
  compatibility  text        check (compatibility in ('none', 'backward', 'backward_transitive', 'forward',
                                                      'forward_transitive', 'full', 'full_transitive')),
  last_version   integer     not null default 0,
  -- grows with every change that a verdict could depend on
  revision       integer     not null default 0,
  created_at     timestamptz not null,
  updated_at     timestamptz not null,
  primary key (tenant_id, name)
);

create table schema_versions (
  tenant_id    text        not null,
  id           uuid        not null,
  subject      text        not null,
  version      integer     not null,
  number       integer     not null,
  state        text        not null check (state in ('draft', 'in_review', 'approved', 'deprecated', 'retired')),
  description  text        not null default '',
  author       text        not null,
  -- JSON: how it compares with the versions before it, when that was last asked
  verdict      text        not null,
  approval_id  uuid,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, subject, version),
  foreign key (tenant_id, subject) references schema_subjects (tenant_id, name),
  foreign key (tenant_id, number) references schema_texts (tenant_id, number)
);
create index schema_versions_number on schema_versions (tenant_id, number);

create table schema_defaults (
  tenant_id      text        not null primary key,
  compatibility  text        not null,
  updated_at     timestamptz not null
);

alter table schema_texts enable row level security;
alter table schema_texts force row level security;
create policy tenant on schema_texts using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table schema_subjects enable row level security;
alter table schema_subjects force row level security;
create policy tenant on schema_subjects using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table schema_versions enable row level security;
alter table schema_versions force row level security;
create policy tenant on schema_versions using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table schema_defaults enable row level security;
alter table schema_defaults force row level security;
create policy tenant on schema_defaults using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
