-- available_slots: the slots that could be booked now, in the order in which
-- reserve_next_slot would take them. Each is free by itself; booking one may
-- use up a limit of the next.
--
--   p_type          video type, one that the channel defines
--   p_from          first day on the channel's wall clock; null: today
--   p_count         how many, 1 to 1000
--   p_channel       the channel
--   p_horizon_days  days to look at, 1 to 366, p_from included
--
-- Returns a row for each slot: day and local_time on the channel's wall clock,
-- publish_time as an instant, time_zone.
-- SQLSTATEs: SWARG SWCHN SWTYP. Locks: none; writes nothing.
create function available_slots(
  p_type text,
  p_from date default null,
  p_count integer default 10,
  p_channel text default 'default',
  p_horizon_days integer default 14
)
returns table (day date, local_time time, publish_time timestamptz, time_zone text)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_refusal refusal := argument_refusal(p_channel, p_type, null, null);
  v_hint text := next_step(v_refusal.code, p_channel, p_type, null);
  v_channel channel;
  v_first_day date;
  v_after timestamptz;
begin
  perform raise_refusal(v_refusal, v_hint);
  perform raise_refusal(horizon_refusal(p_from, p_horizon_days));
  if p_count is null or p_count not between 1 and 1000 then
    perform raise_refusal(invalid_argument('p_count', 'one can ask for 1 to 1000 slots'));
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_first_day := coalesce(p_from, (clock_now() at time zone v_channel.time_zone)::date);
  v_after := greatest(
    day_start(v_first_day, v_channel.time_zone) - interval '1 minute', clock_now()
  );
  return query
  select
    (free.slot at time zone v_channel.time_zone)::date,
    (free.slot at time zone v_channel.time_zone)::time,
    free.slot,
    v_channel.time_zone
  from free_slots(
    v_channel, p_type, v_after,
    v_first_day + p_horizon_days - (v_after at time zone v_channel.time_zone)::date,
    p_count
  ) as free (slot);
end;
$$;

comment on function available_slots(text, date, integer, text, integer) is
  'The next free slots of a channel, in the order in which they would be booked. Errors: SWARG SWCHN SWTYP. Reads only.';
