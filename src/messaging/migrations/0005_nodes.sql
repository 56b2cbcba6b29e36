-- Broker nodes, and which one serves which topic. See nodes/README.md for the protocol.

-- One row a life of a process. Not tenant data. Times are the database's own.
create table messaging_nodes (
  id            text        primary key,
  name          text        not null,
  address       text        not null,
  state         text        not null check (state in ('started', 'draining', 'stopped', 'dead')),
  lease_ms      integer     not null check (lease_ms > 0),
  started_at    timestamptz not null default clock_timestamp(),
  heartbeat_at  timestamptz not null default clock_timestamp(),
  health        jsonb       not null
);

-- A unit is a topic with its dead-letter topic. The row outlives its topics: an epoch never comes again.
create table messaging_owners (
  tenant_id  text    not null,
  topic      text    not null,
  node       text    not null,
  epoch      bigint  not null,
  primary key (tenant_id, topic)
);
create index messaging_owners_node on messaging_owners (node);

-- The transaction that changed a topic last, or its subscriptions: what the other nodes look at.
create table messaging_changes (
  tenant_id   text  not null,
  topic       text  not null,
  changed_in  xid8  not null,
  primary key (tenant_id, topic)
);
create index messaging_changes_changed_in on messaging_changes (changed_in);

alter table messaging_owners enable row level security;
alter table messaging_owners force row level security;
create policy tenant on messaging_owners using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

alter table messaging_changes enable row level security;
alter table messaging_changes force row level security;
create policy tenant on messaging_changes using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');

create function messaging_note_change() returns trigger language plpgsql as $$
declare
  changed jsonb := to_jsonb(coalesce(new, old));
begin
  insert into messaging_changes (tenant_id, topic, changed_in)
  values (changed ->> 'tenant_id',
          changed ->> case tg_table_name when 'messaging_topics' then 'name' else 'topic' end,
          pg_current_xact_id())
  on conflict on constraint messaging_changes_pkey do update set changed_in = excluded.changed_in;
  return null;
end
$$;

create trigger note_change after insert or update or delete on messaging_topics
  for each row execute function messaging_note_change();
create trigger note_change after insert or update or delete on messaging_subscriptions
  for each row execute function messaging_note_change();
