-- What shows that an instance ended by a version of which it never said a word.

-- When its process last became another one; null while it is the first that is known.
alter table config_instances add column started_at timestamptz;

-- When the units that should have the version last became more: who has not been heard of since may have ended by it.
alter table config_assignments add column exposed_at timestamptz;

-- A heartbeat changes nothing that an index holds, and finds room for its row beside the old one: it writes no index.
drop index config_instances_seen;
alter table config_instances set (fillfactor = 60);
alter table config_instance_states set (fillfactor = 60);
