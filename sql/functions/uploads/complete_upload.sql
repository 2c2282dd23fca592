-- complete_upload: the worker has uploaded the video. Asking again with the
-- same token and id changes nothing.
--
--   p_reservation_id    the reservation, uploading
--   p_token             the lease_token of this attempt; another worker may
--                       have been given the upload since
--   p_youtube_video_id  the id that YouTube gave it; null: not known
--
-- Returns the reservation. It keeps what it was charged.
-- SQLSTATEs: SWARG SWNFD, SWSTA (not uploading, or the token is dead), 55P03.
-- Locks: the reservation.
create function complete_upload(
  p_reservation_id bigint,
  p_token uuid,
  p_youtube_video_id text default null
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
  v_reservation reservation := require_reservation(p_reservation_id);
begin
  perform raise_refusal(token_refusal(p_token));
  if p_youtube_video_id = '' or octet_length(p_youtube_video_id) > 200 then
    perform raise_refusal(
      invalid_argument('p_youtube_video_id', 'a video id has 1 to 200 bytes, or is null')
    );
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id
  for update;
  if v_reservation.upload_status = 'completed'
    and v_reservation.lease_token = p_token
    and v_reservation.youtube_video_id is not distinct from p_youtube_video_id
  then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', 'completed'));
  perform raise_refusal(dead_token_refusal(v_reservation, p_token));
  update reservation as r
  set
    upload_status = 'completed',
    youtube_video_id = p_youtube_video_id,
    lease_expires_at = null
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function complete_upload(bigint, uuid, text) is
  'Ends an upload well, for the worker that holds its token, and returns the reservation. Errors: SWARG SWNFD SWSTA 55P03. Locks: the reservation.';
