-- How a topic treats what is published twice, and what nobody took in time.
alter table messaging_topics
  add column dedup_window_seconds integer not null default 300 check (dedup_window_seconds between 0 and 86400),
  add column message_ttl_seconds integer check (message_ttl_seconds > 0);
