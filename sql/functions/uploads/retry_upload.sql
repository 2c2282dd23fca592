-- retry_upload: books a new slot for a video whose upload failed, as a new
-- attempt, which is charged in full: what the failed one spent stays spent.
--
--   p_reservation_id    the reservation, failed
--   p_date, p_time      the new slot on the channel's wall clock
--   p_expected_version  the version that the caller has seen; null: any
--   p_request_key       a call that is repeated under its key books nothing twice
--
-- Returns the reservation, scheduled again.
-- SQLSTATEs: SWARG SWNFD SWGAP SWKEY SWSTA (it has not failed) SWVER SWPST
-- SWBLK SWDUP SWTKN SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that it charges, then the reservation.
create function retry_upload(
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
    'retry_upload', 'failed',
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

comment on function retry_upload(bigint, date, time, integer, text) is
  'Books a new slot for a failed upload, as a new attempt, and returns it. Errors: SWARG SWNFD SWGAP SWKEY SWSTA SWVER SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges, then the reservation.';
