-- fail_upload: the upload came to nothing. The slot and its posting limits are
-- given back; units that count at upload stay spent, since YouTube charges a
-- failed call as well. Asking again with the same token changes nothing.
--
--   p_reservation_id  the reservation, uploading
--   p_token           the lease_token of this attempt
--   p_error_message   what went wrong, of which the first 2,500 characters are kept
--
-- Returns the reservation; retry_upload books it a new slot.
-- SQLSTATEs: SWARG SWNFD, SWSTA (not uploading, or the token is dead), 55P03
-- after 5 s of waiting, 40001 (claimed for another day meanwhile), 40P01.
-- Locks: the limit_day rows whose units it holds, then the reservation.
create function fail_upload(
  p_reservation_id bigint,
  p_token uuid,
  p_error_message text default null
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
  perform raise_refusal(token_refusal(p_token));
  v_reservation := lock_reservation(v_reservation, null, v_deadline);
  if v_reservation.upload_status = 'failed' and v_reservation.lease_token = p_token then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', 'failed'));
  perform raise_refusal(dead_token_refusal(v_reservation, p_token));
  update reservation as r
  set
    upload_status = 'failed',
    error_message = left(p_error_message, 2500),
    lease_expires_at = null
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function fail_upload(bigint, uuid, text) is
  'Ends an upload that came to nothing, for the worker that holds its token, and returns the reservation. Errors: SWARG SWNFD SWSTA 55P03 40001 40P01. Locks: the limit_day rows whose units it holds, then the reservation.';
