-- What tickets of flag streams are signed with: one row, the same for all nodes, kept by whoever is first. Not tenant data.
-- Who reads it here reads all that a ticket lets one hear of, too.
create table config_flag_ticket_key (
  is_only  boolean  primary key default true check (is_only),
  key      text     not null
);
