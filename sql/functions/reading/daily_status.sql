-- daily_status: what a channel has used of its limits on one day.
--
--   p_day      the day, for every limit in its own zone; null: today
--   p_channel  the channel
--
-- Returns a row for each limit that the channel charges:
--   limit_id, counted_at, time_zone  the limit; the zone of its day
--   day              the day
--   used_units, max_units, remaining_units, used_percent
--   overridden       whether the day has a maximum of its own
--   version          version of the usage; 0: never changed
--   resets_at        when the day ends
-- SQLSTATEs: SWARG, SWCHN. Locks: none; writes nothing.
create function daily_status(
  p_day date default null,
  p_channel text default 'default'
)
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
security definer
set search_path from current
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  if p_day < '0001-01-01' or p_day > '9999-12-30' then
    perform raise_refusal(invalid_argument('p_day', 'a day lies in the years 1 to 9999'));
  end if;
  return query
  select
    l.limit_id,
    l.counted_at,
    zone.name,
    today.day,
    coalesce(latest.used_units, 0),
    coalesce(d.max_units, l.max_units),
    greatest(coalesce(d.max_units, l.max_units) - coalesce(latest.used_units, 0), 0),
    round(
      case
        when coalesce(d.max_units, l.max_units) > 0
          then 100.0 * coalesce(latest.used_units, 0) / coalesce(d.max_units, l.max_units)
        else 100
      end,
      1
    ),
    coalesce(d.overridden, false),
    coalesce(latest.version, 0),
    day_start(today.day + 1, zone.name)
  from daily_limit as l
  cross join lateral (
    select coalesce(l.time_zone, v_channel.time_zone) as name
  ) as zone
  cross join lateral (
    select coalesce(p_day, (clock_now() at time zone zone.name)::date) as day
  ) as today
  left join limit_day as d on d.limit_id = l.limit_id and d.day = today.day
  left join lateral (
    select e.used_units, e.version
    from usage_ledger as e
    where e.limit_id = l.limit_id and e.day = today.day
    order by e.version desc
    limit 1
  ) as latest on true
  where l.limit_id in (
    select r.limit_id from charge_rule as r where r.channel_id = v_channel.channel_id
  )
  order by l.counted_at, l.limit_id;
end;
$$;

comment on function daily_status(date, text) is
  'Used and maximum of each limit of a channel on one day, and when the day ends. Errors: SWARG SWCHN. Reads only.';
