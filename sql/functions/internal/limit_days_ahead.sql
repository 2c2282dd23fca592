-- The days of a limit that a new maximum reaches: from today on, wherever on
-- earth its channels are, but for those that are overridden.
create function limit_days_ahead(p_limit_id text)
returns charge[]
language plpgsql
volatile
set search_path from current
as $$
begin
  return array(
    select row(d.limit_id, null, d.day, 0)::charge
    from limit_day as d
    join daily_limit as l on l.limit_id = d.limit_id
    where d.limit_id = p_limit_id
      and d.day >= (clock_now() at time zone coalesce(l.time_zone, 'Etc/GMT+12'))::date
      and not d.overridden
    order by d.day
  );
end;
$$;

comment on function limit_days_ahead(text) is
  'The days of a limit that follow its maximum, from today on, in order.';
