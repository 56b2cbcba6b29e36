-- What a subscription does with messages that fail (see delivery/policy.ts), and the topics that hold what was
-- given up. The policy is a document: it is read whole and never searched.
alter table messaging_subscriptions
  add column policy     jsonb       not null default '{}',
  add column version    integer     not null default 1,
  add column updated_at timestamptz;
update messaging_subscriptions set updated_at = created_at;
alter table messaging_subscriptions alter column updated_at set not null;

alter table messaging_topics
  add column dead_letters_of text;
