-- Turns a wall clock's reading into an instant. A zone can give a reading no
-- instant (the clock skips it) or two (it is set back); PostgreSQL's own
-- "at time zone" answers both without a word. Every offset that was in force
-- a day before, then, and a day after is tried; those that lead back to the
-- reading are right, and the smallest is the first.
create function local_instant(p_local timestamp, p_zone text)
returns timestamptz
language plpgsql
stable
set search_path from current
as $$
declare
  v_as_utc timestamptz := p_local at time zone 'UTC';
  v_probe timestamptz;
  v_tried timestamptz;
  v_first timestamptz;
begin
  foreach v_probe in array array[
    v_as_utc - interval '24 hours',
    p_local at time zone p_zone,
    v_as_utc + interval '24 hours'
  ] loop
    v_tried := v_as_utc
      - ((v_probe at time zone p_zone) - (v_probe at time zone 'UTC'));
    if v_tried at time zone p_zone = p_local then
      v_first := least(v_first, v_tried);
    end if;
  end loop;
  return v_first;
end;
$$;

comment on function local_instant(timestamp, text) is
  'The first instant at which clocks of the zone show the local time; null: they skip it.';
