-- reserve_next_slot: finds and books the next free slot of a channel.
--
-- Of each day its posting times come first, then the full hours from 09:00 to
-- 21:00, then the next day; gaps are filled. Callers of one channel queue on
-- the channel's row, so each sees what those before it have booked, and gets a
-- slot of its own, in order. A slot that is lost to another booking meanwhile
-- is passed over.
--
--   p_type          video type, one that the channel defines
--   p_from          first day on the channel's wall clock; null: today
--   p_horizon_days  days to look at, 1 to 366, p_from included
--   p_video         the video (path or id), at most one live booking a channel
--   p_channel       the channel
--   p_append        only after the channel's last booking; false: fill gaps
--   p_request_key   a call that is repeated under its key books nothing twice
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWTYP SWKEY SWDUP, SWNON (nothing free within the
-- horizon), 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the channel (so its callers queue, and wait for changes of its ways),
-- then the limit_day rows that the booking charges, until the transaction ends.
create function reserve_next_slot(
  p_type text,
  p_from date default null,
  p_horizon_days integer default 14,
  p_video text default null,
  p_channel text default 'default',
  p_append boolean default false,
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
  v_refusal refusal;
  v_channel channel;
  v_arguments jsonb;
  v_booking booking;
  v_hint text;
begin
  v_refusal := argument_refusal(p_channel, p_type, p_video, p_request_key);
  v_hint := next_step(v_refusal.code, p_channel, p_type, null);
  perform raise_refusal(v_refusal, v_hint);
  perform raise_refusal(horizon_refusal(p_from, p_horizon_days));
  select c.* into v_channel from channel as c where c.channel_id = p_channel;

  v_arguments := jsonb_build_object(
    'type', p_type, 'from', to_char(p_from, 'YYYY-MM-DD'), 'horizon_days', p_horizon_days,
    'video', p_video, 'channel', p_channel, 'append', coalesce(p_append, false)
  );
  v_booking := replay(p_request_key, 'reserve_next_slot', v_arguments);
  if not is_settled(v_booking) then
    v_channel := lock_channel(p_channel, v_deadline);
    v_booking := book_next(
      v_channel, p_type, p_from, p_horizon_days, p_video, coalesce(p_append, false),
      p_request_key, v_arguments, v_deadline
    );
  end if;
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, null);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_next_slot(text, date, integer, text, text, boolean, text) is
  'Finds and books the next free slot of a channel and returns the reservation. Errors: SWARG SWCHN SWTYP SWKEY SWDUP SWNON 55P03 40001 40P01. Locks: the channel, then the limit_day rows that it charges.';
