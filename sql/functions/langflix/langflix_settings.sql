-- langflix_settings: the settings of a channel that LangFlix's ScheduleConfig
-- speaks of, and others of their kind.
--
--   p_channel  the channel
--
-- Returns a row for each video type and limit that it charges (a type without
-- one has a row with nulls): video_type; limit_id, counted_at, units (that an
-- upload takes), max_units (a day), warn_percent; own (whether it is the limit
-- that LangFlix's interface shows for the type); and in each row the channel's
-- time_zone and posting_times of every day (texts such as 10:00, in order).
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function langflix_settings(p_channel text default 'default')
returns table (
  video_type text,
  limit_id text,
  counted_at text,
  units integer,
  max_units integer,
  warn_percent integer,
  own boolean,
  time_zone text,
  posting_times text[]
)
language plpgsql
stable
security definer
set search_path from current
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  return query
  select
    t.video_type,
    l.limit_id,
    l.counted_at,
    r.units,
    l.max_units,
    l.warn_percent::integer,
    exists (
      select from langflix_limit as o
      where o.channel_id = r.channel_id
        and o.video_type = r.video_type
        and o.limit_id = r.limit_id
    ),
    v_channel.time_zone,
    array(
      select to_char(p.local_time, 'HH24:MI')
      from posting_time as p
      where p.channel_id = v_channel.channel_id and p.iso_weekday is null
      order by p.local_time
    )
  from video_type as t
  left join charge_rule as r
    on r.channel_id = t.channel_id and r.video_type = t.video_type
  left join daily_limit as l on l.limit_id = r.limit_id
  where t.channel_id = v_channel.channel_id
  order by t.video_type, l.counted_at, l.limit_id;
end;
$$;

comment on function langflix_settings(text) is
  'The settings of a channel that LangFlix''s ScheduleConfig speaks of. Errors: SWARG SWCHN. Reads only.';
