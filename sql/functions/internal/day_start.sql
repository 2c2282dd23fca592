-- Midnight, or where the clocks skip midnight, the first instant after it.
create function day_start(p_day date, p_zone text)
returns timestamptz
language sql
stable
return coalesce(
  local_instant(p_day + time '00:00', p_zone),
  (p_day + time '00:00') at time zone p_zone
);

comment on function day_start(date, text) is
  'The first instant of a day in a zone.';
