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
  previous_hash text not null,
  hash text not null,
  checkpoint_seq bigint not null default 0
) with (fillfactor = 50);

-- Entries of the transactions that are open now; no other ever sees a row in here, so it needs no log.
create unlogged table audit_pending (
  tenant_id text not null,
  id bigint generated always as identity,
  at timestamptz not null,
  actor text not null,
  action text not null,
  resource text not null,
  request_id text not null,
  outcome text not null,
  detail text,
  before_digest text,
  after_digest text,
  -- SHA-256 over the canonical text of all the above
  digest text not null,
  primary key (tenant_id, id)
);

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
  foreach name in array array['audit_entries', 'audit_heads', 'audit_pending', 'audit_checkpoints'] loop
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

-- chain.ts says the same in TypeScript, and its tests hold the two together.
create function audit_hash(previous text, seq bigint, digest text) returns text language sql immutable as $$
  select encode(sha256(convert_to(previous || E'\n' || seq || E'\n' || digest, 'UTF8')), 'hex')
$$;

-- Runs while the transaction commits, so that the head is locked for as long as a commit takes and no longer,
-- whatever the transaction did before, and after all locks that the transaction takes itself.
create function audit_chain() returns trigger language plpgsql as $$
declare
  genesis constant text := repeat('0', 64);
  head audit_heads;
begin
  insert into audit_heads as h (tenant_id, seq, previous_hash, hash)
    values (new.tenant_id, 1, genesis, audit_hash(genesis, 1, new.digest))
    on conflict (tenant_id) do update
      set seq = h.seq + 1, previous_hash = h.hash, hash = audit_hash(h.hash, h.seq + 1, new.digest)
    returning * into head;
  insert into audit_entries (tenant_id, seq, at, actor, action, resource, request_id, outcome, detail,
      before_digest, after_digest, previous_hash, hash)
    values (new.tenant_id, head.seq, new.at, new.actor, new.action, new.resource, new.request_id, new.outcome,
      new.detail, new.before_digest, new.after_digest, head.previous_hash, head.hash);
  delete from audit_pending where tenant_id = new.tenant_id and id = new.id;
  return null;
end $$;

create constraint trigger chain after insert on audit_pending
  deferrable initially deferred for each row execute function audit_chain();
