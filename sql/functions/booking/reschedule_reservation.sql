-- reschedule_reservation: moves a booking to another local time of its
-- channel. Old and new day are locked in order and charged as one net change,
-- so a move within a full day passes.
--
--   p_reservation_id    the reservation
--   p_date, p_time      the new slot on the channel's wall clock
--   p_expected_version  the version that the caller has seen; null: any
--   p_request_key       a call that is repeated under its key moves nothing twice
--
-- Returns the reservation; unchanged, if it is there already.
-- SQLSTATEs: SWARG SWNFD SWGAP SWKEY SWSTA (its upload was started) SWVER
-- SWPST SWBLK SWTKN SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows of both slots, then the reservation.
create function reschedule_reservation(
  p_reservation_id bigint,
  p_date date,
  p_time time,
  p_expected_version integer default null,
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
  v_booking booking := move_reservation(
    'reschedule_reservation', 'scheduled',
    p_reservation_id, p_date, p_time, p_expected_version, p_request_key
  );
  v_hint text;
begin
  if (v_booking.refusal).code is not null then
    v_hint := move_step(v_booking.refusal, p_reservation_id, p_date, p_time);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reschedule_reservation(bigint, date, time, integer, text) is
  'Moves a booking to another local time of its channel and returns it. Errors: SWARG SWNFD SWGAP SWKEY SWSTA SWVER SWPST SWBLK SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows of both slots, then the reservation.';
