-- Turns a wall clock's reading into an instant. A zone can give a reading no
-- instant (the clock skips it) or two (it is set back); PostgreSQL's own
-- "at time zone" answers both without a word. Every offset that was in force
-- a day before, then, and a day after is tried; those that lead back to the
-- reading are right, and the smallest is the first.
create function local_instant(p_local timestamp, p_zone text)
returns timestamptz
language sql
stable
begin atomic
  select min(tried.instant)
  from (
    select (p_local at time zone 'UTC')
      - ((probe.instant at time zone p_zone) - (probe.instant at time zone 'UTC'))
      as instant
    from (values
      ((p_local at time zone 'UTC') - interval '24 hours'),
      (p_local at time zone p_zone),
      ((p_local at time zone 'UTC') + interval '24 hours')
    ) as probe (instant)
  ) as tried
  where tried.instant at time zone p_zone = p_local;
end;

comment on function local_instant(timestamp, text) is
  'The first instant at which clocks of the zone show the local time; null: they skip it.';
