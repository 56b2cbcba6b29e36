-- Requests for approval. The content is what is approved, to the letter; it never changes under one id.

create table approvals (
  tenant_id text not null,
  id uuid not null,
  kind text not null,
  resource text not null,
  environment text,
  summary text,
  -- canonical JSON; text, because the hash is over exactly this
  content text not null,
  content_hash text not null,
  state text not null,
  author text not null,
  requested_at timestamptz not null,
  expires_at timestamptz not null,
  decided_by text,
  decided_at timestamptz,
  reason text,
  ended_at timestamptz,
  primary key (tenant_id, id)
);
-- At most one request that can still lead to the change. It is expired by time, not by its row.
create unique index approvals_open on approvals (tenant_id, kind, resource)
  where state in ('pending', 'approved');
create index approvals_resource on approvals (tenant_id, kind, resource, id);

-- Webhook notices that are still to be delivered; written with what they tell of, removed when delivered.
create table approval_notices (
  tenant_id text not null,
  id uuid not null,
  payload text not null,
  attempts int not null default 0,
  next_attempt_at timestamptz not null,
  last_error text,
  primary key (tenant_id, id)
);
create index approval_notices_due on approval_notices (next_attempt_at);

alter table approvals enable row level security;
alter table approvals force row level security;
create policy tenant on approvals using (tenant_id = current_setting('hotswap.tenant', true)
  or current_setting('hotswap.tenant', true) = '*');
alter table approval_notices enable row level security;
alter table approval_notices force row level security;
create policy tenant on approval_notices using (tenant_id = current_setting('hotswap.tenant', true)
  or current_setting('hotswap.tenant', true) = '*');
