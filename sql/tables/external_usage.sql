-- Units that something else than a booking has used: other calls of the API,
-- uploads made by hand. Its trigger charges them.
create sequence external_usage_id_seq as bigint;

create table external_usage (
  external_usage_id bigint not null default nextval('external_usage_id_seq'),
  limit_id text not null,
  day date not null,
  units integer not null,
  note text,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint external_usage_pkey primary key (external_usage_id),
  constraint external_usage_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint external_usage_units_valid check (units between 0 and 1000000000),
  constraint external_usage_note_valid check (octet_length(note) <= 2000)
);

alter sequence external_usage_id_seq owned by external_usage.external_usage_id;

create index external_usage_day_idx on external_usage (limit_id, day);

comment on sequence external_usage_id_seq is 'Numbers external usages.';
comment on table external_usage is
  'Units of a limit that something else than a booking has used.';
comment on column external_usage.external_usage_id is 'Key of the usage.';
comment on column external_usage.limit_id is 'The limit.';
comment on column external_usage.day is 'Day in the limit''s zone.';
comment on column external_usage.units is
  'Units that it took; 0: they were charged by a booking already.';
comment on column external_usage.note is 'What used them.';
comment on column external_usage.created_at is 'When it was recorded.';
comment on column external_usage.created_by is 'Role that recorded it.';
comment on constraint external_usage_pkey on external_usage is 'One row a usage.';
comment on constraint external_usage_limit_fkey on external_usage is
  'Usage is of a limit that exists.';
comment on constraint external_usage_units_valid on external_usage is
  'The bounds of a charge.';
comment on constraint external_usage_note_valid on external_usage is
  'A note that can be shown.';
comment on index external_usage_day_idx is 'Finds what was recorded for a day.';
