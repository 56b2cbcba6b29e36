-- Answers to requests that carried an Idempotency-Key, kept for as long as a repeat is expected. A key belongs to
-- one subject, so that nobody is answered with what somebody else was told.

create table idempotency_keys (
  tenant_id text not null,
  subject text not null,
  route text not null,
  key text not null,
  fingerprint text not null,
  -- which run of the work owns the row; a later run takes it over after the deadline
  run uuid not null,
  deadline timestamptz not null,
  expires_at timestamptz not null,
  -- the answer; null while the work is running
  body_type text,
  body bytea,
  status int,
  headers text,
  primary key (tenant_id, subject, route, key)
);
create index idempotency_keys_expiry on idempotency_keys (expires_at);

alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy tenant on idempotency_keys using (tenant_id = current_setting('hotswap.tenant', true)
  or current_setting('hotswap.tenant', true) = '*');
