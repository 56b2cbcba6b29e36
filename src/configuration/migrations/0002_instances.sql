-- Instances of services that take configurations, what each of them says that it runs, and what they should run.
--
-- What belongs to one service in one environment is a scope. A scope changes in revisions; who makes one holds its row
-- until the end of the transaction, and nodes follow them. A heartbeat makes none.
create table config_scopes (
  tenant_id    text    not null,
  service      text    not null,
  environment  text    not null,
  revision     bigint  not null,
  primary key (tenant_id, service, environment)
);

create table config_instances (
  tenant_id      text        not null,
  id             text        not null,
  service        text        not null,
  environment    text        not null,
  labels         jsonb       not null,
  -- Of the instance's process, when it says so: another one means that it was started again.
  process        text,
  registered_at  timestamptz not null,
  -- When the above last changed, so that a node that remembers it notices.
  changed_at     timestamptz not null,
  seen_at        timestamptz not null,
  primary key (tenant_id, id)
);
create index config_instances_scope on config_instances (tenant_id, service, environment);
create index config_instances_seen on config_instances (seen_at);

-- What an instance says of a configuration. The last version that it applied is what it runs; a version that it
-- refused is beside it, since it goes on with the one before.
create table config_instance_states (
  tenant_id        text        not null,
  config           text        not null,
  instance         text        not null,
  running          integer,
  applied_at       timestamptz,
  refused          integer,
  reason           text,
  refused_at       timestamptz,
  -- The version after which its process ended within the time that a new one has to prove itself.
  crashed          integer,
  reported_at      timestamptz not null,
  primary key (tenant_id, config, instance),
  foreign key (tenant_id, instance) references config_instances (tenant_id, id) on delete cascade,
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);
create index config_instance_states_instance on config_instance_states (tenant_id, instance);

-- Who has which version while a deployment runs. Afterwards the row stays with no versions, for its generation: an
-- engine that wakes up late must find that it is late.
create table config_assignments (
  tenant_id     text    not null,
  config        text    not null,
  generation    bigint  not null,
  -- Of the scope, when what instances should have last changed.
  revision      bigint  not null,
  deployment    text,
  -- When the deployment first had an assignment here; who applied before does not fall to it.
  began_at      timestamptz,
  seed          text,
  bound         bigint  check (bound between 0 and 4294967296),
  from_version  integer,
  to_version    integer,
  primary key (tenant_id, config),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- Instances with these labels have this version, whatever is deployed.
create table config_pins (
  tenant_id   text        not null,
  config      text        not null,
  -- Canonical JSON of the labels.
  key         text        not null,
  labels      jsonb       not null,
  version     integer     not null,
  reason      text        not null,
  subject     text        not null,
  created_at  timestamptz not null,
  primary key (tenant_id, config, key),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- What instances counted, by cohort of a deployment. Totals that only grow: any number of nodes may add, and who looks
-- twice knows what came in between.
create table config_counts (
  tenant_id   text    not null,
  config      text    not null,
  deployment  text    not null,
  cohort      text    not null check (cohort in ('canary', 'control')),
  metric      text    not null,
  total       bigint  not null,
  primary key (tenant_id, config, deployment, cohort, metric),
  foreign key (tenant_id, config) references configs (tenant_id, name) on delete cascade
);

-- Live instances that were asked to look at a version without applying it.
create table config_trials (
  tenant_id   text        not null,
  id          text        not null,
  config      text        not null,
  version     integer     not null,
  instances   jsonb       not null,
  subject     text        not null,
  created_at  timestamptz not null,
  expires_at  timestamptz not null,
  primary key (tenant_id, id)
);
create index config_trials_version on config_trials (tenant_id, config, version, created_at);
create index config_trials_open on config_trials (expires_at);

create table config_trial_answers (
  tenant_id    text        not null,
  trial        text        not null,
  instance     text        not null,
  ok           boolean     not null,
  reason       text,
  answered_at  timestamptz not null,
  primary key (tenant_id, trial, instance),
  foreign key (tenant_id, trial) references config_trials (tenant_id, id) on delete cascade
);

do $$
declare name text;
begin
  foreach name in array array['config_scopes', 'config_instances', 'config_instance_states', 'config_assignments',
                              'config_pins', 'config_counts', 'config_trials', 'config_trial_answers'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (
      tenant_id = current_setting(''hotswap.tenant'', true) or current_setting(''hotswap.tenant'', true) = ''*'')', name);
  end loop;
end $$;

-- What is deleted is wanted no more: a change of the scope like any other.
create function config_deleted() returns trigger language plpgsql as $$
begin
  insert into config_scopes (tenant_id, service, environment, revision)
  values (old.tenant_id, old.service, old.environment, 1)
  on conflict (tenant_id, service, environment) do update set revision = config_scopes.revision + 1;
  return old;
end $$;
create trigger config_deleted after delete on configs for each row execute function config_deleted();
