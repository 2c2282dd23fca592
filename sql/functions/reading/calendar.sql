-- calendar: the bookings of a channel in a span of days, in order of time;
-- those that were cancelled are left out.
--
--   p_from     first day on the channel's wall clock; null: today
--   p_days     number of days, 1 to 3660
--   p_channel  the channel
--
-- Returns a row for each booking: day and local_time on the channel's wall
-- clock, publish_time as an instant, time_zone, and what the reservation says.
-- SQLSTATEs: SWARG, SWCHN. Locks: none; writes nothing.
create function calendar(
  p_from date default null,
  p_days integer default 7,
  p_channel text default 'default'
)
returns table (
  day date,
  local_time time,
  publish_time timestamptz,
  time_zone text,
  reservation_id bigint,
  video_type text,
  video_path text,
  upload_status text,
  youtube_video_id text,
  error_message text,
  version integer
)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_from date := coalesce(p_from, (clock_now() at time zone v_channel.time_zone)::date);
begin
  if p_days is null or p_days not between 1 and 3660 then
    perform raise_refusal(invalid_argument('p_days', 'a calendar shows 1 to 3660 days'));
  end if;
  perform raise_refusal(day_refusal('p_from', v_from));
  perform raise_refusal(day_refusal('p_from', v_from + p_days));
  return query
  select
    (r.scheduled_publish_time at time zone v_channel.time_zone)::date,
    (r.scheduled_publish_time at time zone v_channel.time_zone)::time,
    r.scheduled_publish_time,
    v_channel.time_zone,
    r.reservation_id,
    r.video_type,
    r.video_path,
    r.upload_status,
    r.youtube_video_id,
    r.error_message,
    r.version
  from (
    -- Each half has an index of its own.
    select l.*
    from reservation as l
    where l.upload_status in ('scheduled', 'uploading', 'completed')
    union all
    select f.*
    from reservation as f
    where f.upload_status = 'failed'
  ) as r
  where r.channel_id = v_channel.channel_id
    and r.scheduled_publish_time >= day_start(v_from, v_channel.time_zone)
    and r.scheduled_publish_time < day_start(v_from + p_days, v_channel.time_zone)
  order by r.scheduled_publish_time, r.reservation_id;
end;
$$;

comment on function calendar(date, integer, text) is
  'The bookings of a channel in a span of days, by its wall clock, without the cancelled. Errors: SWARG SWCHN. Reads only.';
