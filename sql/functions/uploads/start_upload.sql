-- start_upload: a video's upload begins now. Units that count at upload move
-- to today, if they were planned for another day; if they do not fit there, it
-- is refused and stays scheduled.
--
--   p_reservation_id  the reservation, scheduled
--   p_lease           how long the worker may take before claim_due_uploads
--                     gives the upload to another; null: for ever
--
-- Returns the reservation with its lease_token, which complete_upload and
-- fail_upload ask for.
-- SQLSTATEs: SWARG SWNFD SWSTA SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows whose units it holds or moves, then the reservation.
create function start_upload(p_reservation_id bigint, p_lease interval default null)
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
  v_seen reservation := require_reservation(p_reservation_id);
  v_reservation reservation;
begin
  perform raise_refusal(lease_refusal(p_lease));
  perform raise_refusal(status_refusal(v_seen, 'scheduled', 'uploading'));
  v_reservation := lock_reservation(v_seen, start_charges(v_seen), v_deadline);
  perform raise_refusal(status_refusal(v_reservation, 'scheduled', 'uploading'));
  perform raise_refusal(limit_refusal(start_charges(v_reservation)));
  return begin_attempt(v_reservation, p_lease);
end;
$$;

comment on function start_upload(bigint, interval) is
  'Begins the upload of a scheduled reservation and returns it with its lease_token. Errors: SWARG SWNFD SWSTA SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it moves units between, then the reservation.';
