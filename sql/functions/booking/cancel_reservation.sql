-- cancel_reservation: frees the slot and gives back everything it holds.
-- Asking again changes nothing.
--
--   p_reservation_id    the reservation
--   p_expected_version  the version that the caller has seen; null: any
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWNFD, SWSTA (its upload was started), SWVER, 55P03 after
-- 5 s of waiting, 40001 (it was moved meanwhile), 40P01.
-- Locks: the limit_day rows whose units it holds, then the reservation.
create function cancel_reservation(
  p_reservation_id bigint,
  p_expected_version integer default null
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
  v_reservation reservation := require_reservation(p_reservation_id);
begin
  if v_reservation.upload_status = 'cancelled' then
    return v_reservation;
  end if;
  v_reservation := lock_reservation(v_reservation, null, v_deadline);
  if v_reservation.upload_status = 'cancelled' then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'scheduled', 'cancelled'));
  perform raise_refusal(version_refusal(v_reservation, p_expected_version));
  update reservation as r
  set upload_status = 'cancelled'
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function cancel_reservation(bigint, integer) is
  'Frees the slot and gives back everything; asking again changes nothing. Errors: SWARG SWNFD SWSTA SWVER 55P03 40001 40P01. Locks: the limit_day rows whose units it holds, then the reservation.';
