-- The usage of a limit on one day: latest balance and maximum in force. A day
-- that nobody has booked has the maximum of its limit. Inlined into the queries
-- that call it.
create function usage_of(p_limit_id text, p_day date)
returns table (used_units integer, max_units integer, version integer)
language sql
stable
begin atomic
  select
    coalesce(latest.used_units, 0),
    coalesce(
      d.max_units,
      (select l.max_units from daily_limit as l where l.limit_id = p_limit_id)
    ),
    coalesce(latest.version, 0)
  from (values (1)) as one_row (n)
  left join limit_day as d on d.limit_id = p_limit_id and d.day = p_day
  left join lateral (
    select e.used_units, e.version
    from usage_ledger as e
    where e.limit_id = p_limit_id and e.day = p_day
    order by e.version desc
    limit 1
  ) as latest on true;
end;

comment on function usage_of(text, date) is
  'Units used, maximum and version of a limit on a day.';
