-- What the private functions of the import hand to one another.
create type langflix_row as (
  row jsonb,
  source_id text,
  created_at timestamptz,
  reservation reservation,
  reason text
);

comment on type langflix_row is 'A row of LangFlix''s youtube_schedule, as import_langflix read it.';
comment on column langflix_row.row is 'The row.';
comment on column langflix_row.source_id is 'Its id, a UUID in lower case; null: it has none.';
comment on column langflix_row.created_at is 'When LangFlix made it; null: not known.';
comment on column langflix_row.reservation is 'What it is to be booked as.';
comment on column langflix_row.reason is
  'Why it cannot be booked, as far as the row itself says; null: it can.';

create type langflix_result as (
  source_id text,
  action text,
  reservation_id bigint,
  reason text
);

comment on type langflix_result is 'What import_langflix did with a row.';
comment on column langflix_result.source_id is 'Id of the row; null: it is about a day.';
comment on column langflix_result.action is 'imported, conflict, known or over_limit.';
comment on column langflix_result.reservation_id is 'The reservation.';
comment on column langflix_result.reason is 'Why, for a person.';
