-- A draft can be tried as a version can: what was tried of it is kept with the trial, as the draft goes on.
alter table config_trials alter column version drop not null;
-- Of what is tried: a version that says the same was tried by it too. Null in trials of before.
alter table config_trials add column hash text;
-- Whose draft, at which of its revisions, and what it said.
alter table config_trials add column author text;
alter table config_trials add column revision integer;
alter table config_trials add column value jsonb;
create index config_trials_hash on config_trials (tenant_id, config, hash, created_at);
create index config_trials_author on config_trials (tenant_id, config, author, created_at);
