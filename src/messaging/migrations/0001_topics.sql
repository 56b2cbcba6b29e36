-- Topics and subscriptions. `number` names their partitions in the log and never comes back; it is unique
-- over all tenants because the log is.
create sequence messaging_numbers as bigint;

create table messaging_topics (
  tenant_id    text        not null,
  name         text        not null,
  number       bigint      not null default nextval('messaging_numbers'),
  type         text        not null check (type in ('queue', 'pubsub')),
  partitions   integer     not null check (partitions between 1 and 256),
  durability   text        not null check (durability in ('memory', 'os', 'fsync')),
  description  text        not null default '',
  version      integer     not null default 1,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (tenant_id, name)
);

create table messaging_subscriptions (
  tenant_id            text        not null,
  id                   text        not null,
  number               bigint      not null default nextval('messaging_numbers'),
  topic                text        not null,
  name                 text        not null,
  ack_deadline_seconds integer     not null check (ack_deadline_seconds between 1 and 43200),
  -- Offset at which it begins, by partition; a partition that is not named begins at 0.
  start_offsets        jsonb       not null default '[]',
  created_at           timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, topic, name),
  foreign key (tenant_id, topic) references messaging_topics (tenant_id, name) on delete cascade
);

-- Partitions of the log whose topic or subscription is gone. Written in the transaction of the deletion and
-- worked off afterwards, so that neither a crash nor a restored database ever deletes what is still wanted.
create table messaging_garbage (
  tenant_id   text        not null,
  partition   text        not null,
  deleted_at  timestamptz not null,
  primary key (tenant_id, partition)
);

alter table messaging_topics enable row level security;
alter table messaging_topics force row level security;
create policy tenant on messaging_topics using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table messaging_subscriptions enable row level security;
alter table messaging_subscriptions force row level security;
create policy tenant on messaging_subscriptions using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table messaging_garbage enable row level security;
alter table messaging_garbage force row level security;
create policy tenant on messaging_garbage using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
