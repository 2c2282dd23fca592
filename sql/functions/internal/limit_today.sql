-- Today, for a limit: in its zone, or in that of the channels that charge it.
create function limit_today(p_limit text)
returns date
language plpgsql
stable
set search_path from current
as $$
begin
  return (
    select (clock_now() at time zone coalesce(
      l.time_zone,
      (
        select c.time_zone
        from charge_rule as r
        join channel as c on c.channel_id = r.channel_id
        where r.limit_id = l.limit_id
        limit 1
      ),
      'UTC'
    ))::date
    from daily_limit as l
    where l.limit_id = p_limit
  );
end;
$$;

comment on function limit_today(text) is 'The present day of a limit, in its zone.';
