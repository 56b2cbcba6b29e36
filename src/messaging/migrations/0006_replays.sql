-- Replays of dead letters: what was selected, how far it is. One runs at a time for each topic; what runs when the
-- server ends goes on at its next start.
create table messaging_replays (
  tenant_id   text        not null,
  id          text        not null,
  topic       text        not null,
  action      text        not null check (action in ('replay', 'discard')),
  -- JSON, as it was asked for.
  selection   jsonb       not null,
  -- Offset in the dead-letter queue before which it selects.
  until       bigint      not null,
  rate        integer,
  status      text        not null check (status in ('running', 'done', 'cancelled', 'failed')),
  matched     integer     not null,
  processed   integer     not null default 0,
  failed      integer     not null default 0,
  error       text,
  created_by  text        not null,
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  primary key (tenant_id, id)
);
create unique index messaging_replays_running on messaging_replays (tenant_id, topic) where status = 'running';
create index messaging_replays_topic on messaging_replays (tenant_id, topic, id);

alter table messaging_replays enable row level security;
alter table messaging_replays force row level security;
create policy tenant on messaging_replays using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
