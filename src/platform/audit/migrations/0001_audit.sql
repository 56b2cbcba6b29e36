-- What has been done, one chain of hashes per tenant. Rows are added, never changed or removed; the trigger below
-- stops mistakes, and whoever removes the trigger is found out by the hashes and the signed checkpoints.

create table audit_entries (
  tenant_id text not null,
  seq bigint not null,
  at timestamptz not null,
  actor text not null,
  action text not null,
  resource text not null,
  request_id text not null,
  outcome text not null,
  -- text and not jsonb, which would refuse NUL and lone surrogates and rewrite numbers
  detail text,
  before_digest text,
  after_digest text,
  previous_hash text not null,
  hash text not null,
  primary key (tenant_id, seq)
);
create index audit_entries_actor on audit_entries (tenant_id, actor, seq);
create index audit_entries_action on audit_entries (tenant_id, action, seq);
create index audit_entries_resource on audit_entries (tenant_id, resource, seq);

-- The last entry of each chain. Its row is the lock under which a chain grows.
create table audit_heads (
  tenant_id text not null primary key,
  seq bigint not null,
  hash text not null,
  checkpoint_seq bigint not null default 0
) with (fillfactor = 50);

create table audit_checkpoints (
  tenant_id text not null,
  seq bigint not null,
  hash text not null,
  at timestamptz not null,
  key_id text not null,
  signature text not null,
  primary key (tenant_id, seq)
);

do $$
declare
  name text;
begin
  foreach name in array array['audit_entries', 'audit_heads', 'audit_checkpoints'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format(
      'create policy tenant on %I using (tenant_id = current_setting(''hotswap.tenant'', true)
        or current_setting(''hotswap.tenant'', true) = ''*'')', name);
  end loop;
end $$;

create function audit_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;

create trigger append_only before update or delete or truncate on audit_entries
  for each statement execute function audit_refuse_change();
create trigger append_only before update or delete or truncate on audit_checkpoints
  for each statement execute function audit_refuse_change();
