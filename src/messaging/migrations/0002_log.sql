-- Which message log belongs to this database: one row, written when the two first meet. Not a tenant's data.
create table messaging_log (
  single  boolean primary key default true check (single),
  log_id  text    not null
);
