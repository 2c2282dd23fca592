-- Where a reservation came from, for those that another scheduler booked: the
-- application that showed its ids goes on showing them.
create table imported_reservation (
  reservation_id bigint not null,
  source text not null,
  source_id text not null,
  imported_at timestamptz not null default clock_now(),
  imported_by text not null default caller_role(),
  constraint imported_reservation_pkey primary key (reservation_id),
  constraint imported_reservation_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete cascade,
  constraint imported_reservation_source_key unique (source, source_id),
  constraint imported_reservation_source_valid
    check (source <> '' and octet_length(source) <= 200),
  constraint imported_reservation_source_id_valid
    check (source_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
);

comment on table imported_reservation is
  'The ids that reservations had in the scheduler that they were imported from.';
comment on column imported_reservation.reservation_id is 'The reservation.';
comment on column imported_reservation.source is
  'Which scheduler it came from, as import_langflix was told.';
comment on column imported_reservation.source_id is
  'Its id there, a UUID in lower case.';
comment on column imported_reservation.imported_at is 'When it was imported.';
comment on column imported_reservation.imported_by is 'Role that imported it.';
comment on constraint imported_reservation_pkey on imported_reservation is
  'A reservation came from one place.';
comment on constraint imported_reservation_reservation_fkey on imported_reservation is
  'Goes with its reservation.';
comment on constraint imported_reservation_source_key on imported_reservation is
  'An import that runs twice imports a row once.';
comment on constraint imported_reservation_source_valid on imported_reservation is
  'A name that fits into the index key.';
comment on constraint imported_reservation_source_id_valid on imported_reservation is
  'Ids of LangFlix are UUIDs, which the view youtube_schedule shows as such.';

-- Rows that could not be booked are told apart by their id as well.
create index import_conflict_source_id_idx
  on import_conflict (source, lower(row ->> 'id'));

comment on index import_conflict_source_id_idx is
  'Finds the conflict that a row of LangFlix''s was kept as.';
