-- How long a topic keeps messages, and whether what a subscription has not finished is spared. Topics of before keep all.
alter table messaging_topics
  add column retention_seconds integer check (retention_seconds >= 0),
  add column retention_bytes bigint check (retention_bytes > 0),
  add column retain text not null default 'unacknowledged' check (retain in ('unacknowledged', 'limits'));
