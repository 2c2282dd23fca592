-- The usage of a limit on one day: latest balance and maximum in force. A day
-- that nobody has booked has the maximum of its limit.
create function usage_of(
  p_limit_id text,
  p_day date,
  out used_units integer,
  out max_units integer,
  out version integer
)
returns record
language plpgsql
stable
set search_path from current
as $$
begin
  select d.max_units, latest.used_units, latest.version
  into max_units, used_units, version
  from limit_day as d
  left join lateral (
    select e.used_units, e.version
    from usage_ledger as e
    where e.limit_id = p_limit_id and e.day = p_day
    order by e.version desc
    limit 1
  ) as latest on true
  where d.limit_id = p_limit_id and d.day = p_day;
  if not found then
    select l.max_units into max_units
    from daily_limit as l
    where l.limit_id = p_limit_id;
  end if;
  used_units := coalesce(used_units, 0);
  version := coalesce(version, 0);
end;
$$;

comment on function usage_of(text, date) is
  'Units used, maximum and version of a limit on a day.';
