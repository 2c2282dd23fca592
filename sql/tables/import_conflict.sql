-- Rows of another scheduler that could not be kept as they were.
create sequence import_conflict_id_seq as bigint;

create table import_conflict (
  import_conflict_id bigint not null default nextval('import_conflict_id_seq'),
  source text not null,
  row jsonb not null,
  reason text not null,
  reservation_id bigint,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint import_conflict_pkey primary key (import_conflict_id),
  constraint import_conflict_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete set null
);

alter sequence import_conflict_id_seq owned by import_conflict.import_conflict_id;

create unique index import_conflict_row_key
  on import_conflict (source, md5(row::text));

create index import_conflict_reservation_idx on import_conflict (reservation_id);

comment on sequence import_conflict_id_seq is 'Numbers import conflicts.';
comment on table import_conflict is
  'Rows of another scheduler that an import could not book as they were.';
comment on column import_conflict.import_conflict_id is 'Key of the conflict.';
comment on column import_conflict.source is
  'Where the row came from: a database and table, or a file.';
comment on column import_conflict.row is 'The row as it was read.';
comment on column import_conflict.reason is 'Why it could not be booked.';
comment on column import_conflict.reservation_id is
  'The reservation that it was booked as later; null: still open.';
comment on column import_conflict.created_at is 'When it was imported.';
comment on column import_conflict.created_by is 'Role that imported it.';
comment on constraint import_conflict_pkey on import_conflict is
  'One row a conflict.';
comment on constraint import_conflict_reservation_fkey on import_conflict is
  'The reservation that settled the conflict.';
comment on index import_conflict_row_key is
  'An import that runs twice lists a row once.';
comment on index import_conflict_reservation_idx is
  'Finds the conflict that a reservation settled.';
