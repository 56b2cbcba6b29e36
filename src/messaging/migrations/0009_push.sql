-- Webhooks of subscriptions: where they go, and how it went. Their secrets are in the store of secrets.
create table messaging_push (
  tenant_id        text        not null,
  subscription_id  text        not null,
  url              text        not null,
  format           text        not null check (format in ('json', 'cloudevents', 'cloudevents-binary')),
  batch            integer     not null check (batch between 1 and 1000),
  concurrency      integer     not null check (concurrency between 1 and 64),
  timeout_seconds  integer     not null check (timeout_seconds between 1 and 60),
  -- As pace.ts has it: status, failures, pauses, reason, resumesAt.
  pace             jsonb       not null,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  primary key (tenant_id, subscription_id),
  foreign key (tenant_id, subscription_id) references messaging_subscriptions (tenant_id, id) on delete cascade
);

alter table messaging_push enable row level security;
alter table messaging_push force row level security;
create policy tenant on messaging_push using (
  tenant_id = current_setting('hotswap.tenant', true) or current_setting('hotswap.tenant', true) = '*');
