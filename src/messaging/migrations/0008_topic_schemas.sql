-- The schema that the messages of a topic must fit: the latest version in force of a subject, or a fixed one.
alter table messaging_topics
  add column schema_subject text,
  add column schema_version integer check (schema_version > 0),
  add column schema_enforcement text not null default 'strict' check (schema_enforcement in ('strict', 'warn'));
