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
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  if p_day is not null then
    perform raise_refusal(day_refusal('p_day', p_day));
  end if;
  return query select u.* from channel_usage(v_channel, p_day, 0) as u;
end;
$$;

comment on function daily_status(date, text) is
  'Used and maximum of each limit of a channel on one day, and when the day ends. Errors: SWARG SWCHN. Reads only.';
