-- A schema that refers to versions of other subjects is kept with them copied in, so that it means the same for ever.
-- Beside it stands what was sent: clients of the Confluent registry resolve references themselves.
alter table schema_texts add column source text;
-- [{"name", "subject", "version"}], with the number of each version
alter table schema_texts add column source_references jsonb;
create index schema_texts_references on schema_texts using gin (source_references jsonb_path_ops);
