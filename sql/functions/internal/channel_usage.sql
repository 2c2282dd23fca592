-- The limits that a channel charges, on one day or some days after today: what
-- daily_status, lock_day and quota_warnings show.
create function channel_usage(p_channel channel, p_day date, p_days_ahead integer)
returns table (
  limit_id text,
  counted_at text,
  time_zone text,
  day date,
  used_units integer,
  max_units integer,
  remaining_units integer,
  used_percent numeric,
  overridden boolean,
  version integer,
  resets_at timestamptz
)
language plpgsql
stable
set search_path from current
as $$
begin
  return query
  select
    l.limit_id,
    l.counted_at,
    zone.name,
    asked.day,
    usage.used_units,
    usage.max_units,
    greatest(usage.max_units - usage.used_units, 0),
    percent_used(usage.used_units, usage.max_units),
    coalesce(d.overridden, false),
    usage.version,
    day_start(asked.day + 1, zone.name)
  from daily_limit as l
  cross join lateral (
    select coalesce(l.time_zone, p_channel.time_zone) as name
  ) as zone
  cross join lateral (
    select coalesce(p_day, (clock_now() at time zone zone.name)::date) + p_days_ahead as day
  ) as asked
  cross join lateral usage_of(l.limit_id, asked.day) as usage
  left join limit_day as d on d.limit_id = l.limit_id and d.day = asked.day
  where l.limit_id in (
    select r.limit_id from charge_rule as r where r.channel_id = p_channel.channel_id
  )
  order by l.counted_at, l.limit_id;
end;
$$;

comment on function channel_usage(channel, date, integer) is
  'Used and maximum of each limit of a channel on a day (null: today, in each limit''s zone) or some days after it.';
