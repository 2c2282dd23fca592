-- What today's rules take for one upload, in the order of the locks.
create function charges_for(
  p_channel text,
  p_type text,
  p_publish_time timestamptz,
  p_upload_time timestamptz
)
returns setof charge
language sql
stable
begin atomic
  select rule.limit_id, rule.counted_at, rule.day, rule.units
  from (
    select
      r.limit_id,
      l.counted_at,
      (
        case l.counted_at when 'publish' then p_publish_time else p_upload_time end
        at time zone coalesce(l.time_zone, c.time_zone)
      )::date as day,
      r.units
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    join channel as c on c.channel_id = r.channel_id
    where r.channel_id = p_channel
      and r.video_type = p_type
  ) as rule
  order by rule.day, rule.limit_id;
end;

comment on function charges_for(text, text, timestamptz, timestamptz) is
  'The charges that today''s rules make for one upload, ordered by day and limit.';
