-- reserve_slot: books exactly one local time of a channel.
--
-- Takes the locks of the days that the booking charges, checks every limit and
-- inserts, in the caller's transaction; all of it holds or nothing does.
--
--   p_date         day on the channel's wall clock
--   p_type         video type, one that the channel defines
--   p_time         time on the channel's wall clock, a whole minute; one that
--                  occurs twice that day means the first
--   p_video        the video (path or id), at most one live booking a channel
--   p_channel      the channel
--   p_request_key  a call that is repeated under its key books nothing twice
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWTYP SWGAP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM,
-- 55P03 after 5 s of waiting (alter function ... set lock_timeout), 40001, 40P01.
-- Locks: the limit_day rows that it charges, until the transaction ends.
create function reserve_slot(
  p_date date,
  p_type text,
  p_time time,
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
  v_booking booking := book_local(p_date, p_type, p_time, p_video, p_channel, p_request_key);
  v_hint text;
begin
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, (
      select (p_date + p_time) at time zone c.time_zone
      from channel as c
      where c.channel_id = p_channel
        -- A day that was refused may be past all instants.
        and (v_booking.refusal).code <> 'SWARG'
    ));
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_slot(date, text, time, text, text, text) is
  'Books exactly that local time of a channel and returns the reservation. Errors: SWARG SWCHN SWTYP SWGAP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges.';
