-- record_upload: says that a video was uploaded, by an application that keeps
-- no lease_token, such as LangFlix. Its live reservation is completed from
-- scheduled as well (its upload begins and ends now) and from uploading
-- whoever holds the lease. Saying the same again changes nothing; an id that
-- was not known may be added later.
--
--   p_video             the video, as it was booked
--   p_youtube_video_id  the id that YouTube gave it; null: not known
--   p_status            completed (or uploaded, which LangFlix says for it), or
--                       failed: the upload came to nothing
--   p_channel           the channel
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWNFD (the video has no reservation), SWSTA (it has
-- failed or was cancelled; or it was uploaded already, as another video), SWLIM
-- (what was planned for another day does not fit into today: it stays
-- scheduled), 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows whose units it holds or moves, then the reservation.
create function record_upload(
  p_video text,
  p_youtube_video_id text default null,
  p_status text default 'completed',
  p_channel text default 'default'
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
  v_channel channel := require_channel(p_channel);
  v_wanted text := case p_status when 'uploaded' then 'completed' else p_status end;
  v_seen reservation;
  v_reservation reservation;
begin
  if p_video is null then
    perform raise_refusal(invalid_argument('p_video', 'a video is needed'));
  elsif v_wanted is null or v_wanted not in ('completed', 'failed') then
    perform raise_refusal(
      invalid_argument('p_status', 'an upload is completed (or uploaded) or failed')
    );
  elsif p_youtube_video_id = '' or octet_length(p_youtube_video_id) > 200 then
    perform raise_refusal(
      invalid_argument('p_youtube_video_id', 'a video id has 1 to 200 bytes, or is null')
    );
  end if;
  v_seen := langflix_reservation_of_video(v_channel.channel_id, p_video);
  if v_seen.upload_status = 'failed' and v_wanted = 'failed' then
    return v_seen;
  end if;

  v_reservation := lock_reservation(
    v_seen,
    case v_seen.upload_status when 'scheduled' then start_charges(v_seen) end,
    v_deadline
  );
  if v_reservation.upload_status = 'completed' and v_wanted = 'completed' then
    return langflix_add_video_id(v_reservation, p_youtube_video_id);
  end if;
  if v_reservation.upload_status = 'scheduled' then
    perform raise_refusal(limit_refusal(start_charges(v_reservation)));
    v_reservation := begin_attempt(v_reservation, null);
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', v_wanted));
  update reservation as r
  set
    upload_status = v_wanted,
    youtube_video_id = coalesce(p_youtube_video_id, r.youtube_video_id),
    lease_expires_at = null
  where r.reservation_id = v_reservation.reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function record_upload(text, text, text, text) is
  'Says that a video was uploaded, without a lease_token, and returns its reservation. Errors: SWARG SWCHN SWNFD SWSTA SWLIM 55P03 40001 40P01. Locks: the limit_day rows whose units it holds or moves, then the reservation.';
