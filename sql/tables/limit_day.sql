-- The maximum in force on one day, and the lock of that day. Bookings create
-- and lock the row, and never update it: waiters on a row that each winner
-- updates would lose their place in the queue.
create table limit_day (
  limit_id text not null,
  day date not null,
  max_units integer not null,
  overridden boolean not null default false,
  constraint limit_day_pkey primary key (limit_id, day),
  constraint limit_day_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint limit_day_max_units_valid
    check (max_units between 0 and 1000000000)
);

comment on table limit_day is
  'The maximum in force on one day of a limit; its row is the lock of that day.';
comment on column limit_day.limit_id is 'The limit.';
comment on column limit_day.day is 'Day in the limit''s zone.';
comment on column limit_day.max_units is 'Maximum of units on that day.';
comment on column limit_day.overridden is
  'true: set for this day by override_day; false: follows daily_limit.';
comment on constraint limit_day_pkey on limit_day is
  'One row, so one lock, for each limit and day.';
comment on constraint limit_day_limit_fkey on limit_day is
  'A day belongs to a limit that exists.';
comment on constraint limit_day_max_units_valid on limit_day is
  '0 closes the day; the upper bound keeps sums inside an integer.';
