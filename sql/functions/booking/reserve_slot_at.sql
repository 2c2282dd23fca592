-- reserve_slot_at: books exactly one instant. It reaches what reserve_slot
-- cannot: the second of two equal local times when clocks are set back.
--
--   p_publish_time  the instant, a whole minute
--   p_type, p_video, p_channel, p_request_key   as for reserve_slot
--
-- Returns the reservation.
-- SQLSTATEs and locks: as for reserve_slot, without SWGAP.
create function reserve_slot_at(
  p_publish_time timestamptz,
  p_type text,
  p_video text default null,
  p_channel text default 'default',
  p_request_key text default null
)
returns reservation
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_channel channel;
  v_booking booking;
  v_hint text;
begin
  perform raise_refusal(publish_time_refusal(p_publish_time));
  perform raise_refusal(argument_refusal(p_channel, p_type, p_video, p_request_key));
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_booking := book(
    v_channel, p_type, p_publish_time, p_video, p_request_key,
    'reserve_slot_at',
    jsonb_build_object(
      'publish_time', utc_text(p_publish_time), 'type', p_type,
      'video', p_video, 'channel', p_channel
    ),
    v_deadline
  );
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, p_publish_time);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_slot_at(timestamptz, text, text, text, text) is
  'Books exactly that instant and returns the reservation. Errors: SWARG SWCHN SWTYP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges.';
