-- The span of the deployment that an exposure belongs to, as a W3C traceparent: who is told of the version is told this too.
alter table config_assignments add column traceparent text;
