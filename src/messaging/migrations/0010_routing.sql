-- How the messages of a topic find consumers: see delivery/routing.ts.
alter table messaging_topics
  add column strategy  text check (strategy in ('direct', 'fan-out', 'load-balanced', 'priority', 'content-based')),
  add column balancing text not null default 'round-robin' check (balancing in ('round-robin', 'least-loaded'));
update messaging_topics set strategy = case type when 'queue' then 'load-balanced' else 'fan-out' end;
alter table messaging_topics alter column strategy set not null;
