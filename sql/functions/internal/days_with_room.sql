-- The days on which the limits whose day is the channel's own have room for
-- one more video: with one of them full, no time of that day is free.
create function days_with_room(
  p_channel channel,
  p_type text,
  p_first_day date,
  p_days integer
)
returns setof date
language sql
stable
begin atomic
  select ahead.day
  from (
    select p_first_day + n as day from generate_series(0, p_days - 1) as days (n)
  ) as ahead
  where not exists (
    select
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    left join limit_day as d on d.limit_id = r.limit_id and d.day = ahead.day
    where r.channel_id = (p_channel).channel_id
      and r.video_type = p_type
      and l.counted_at = 'publish'
      and coalesce(l.time_zone, (p_channel).time_zone) = (p_channel).time_zone
      and r.units + coalesce(
        (
          select e.used_units
          from usage_ledger as e
          where e.limit_id = r.limit_id and e.day = ahead.day
          order by e.version desc
          limit 1
        ),
        0
      ) > coalesce(d.max_units, l.max_units)
  )
  order by ahead.day;
end;

comment on function days_with_room(channel, text, date, integer) is
  'Days of a span on which no posting limit of a channel is full for a video type.';
