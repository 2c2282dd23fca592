-- What a row of LangFlix's is booked as. LangFlix uploads when it books, ahead
-- of the publish time, so what was started was uploaded when the row was made;
-- what is only scheduled uploads when its channel says.
create function langflix_reservation(p_row jsonb, p_channel channel)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reservation reservation;
  v_now timestamptz := clock_now();
  v_made timestamptz := langflix_instant(p_row ->> 'created_at', p_channel.time_zone);
begin
  v_reservation.channel_id := p_channel.channel_id;
  v_reservation.video_type := p_row ->> 'video_type';
  v_reservation.video_path := p_row ->> 'video_path';
  v_reservation.scheduled_publish_time := langflix_whole_minute(
    langflix_instant(p_row ->> 'scheduled_publish_time', p_channel.time_zone)
  );
  v_reservation.upload_status :=
    langflix_status(p_row ->> 'upload_status', p_row ->> 'error_message');
  v_reservation.upload_time := case
    when v_reservation.upload_status in ('scheduled', 'cancelled')
      then upload_time_for(v_reservation.scheduled_publish_time, p_channel.upload_lead, v_now)
    else least(coalesce(v_made, v_reservation.scheduled_publish_time), v_now)
  end;
  v_reservation.local_date :=
    (v_reservation.scheduled_publish_time at time zone p_channel.time_zone)::date;
  v_reservation.time_zone := p_channel.time_zone;
  v_reservation.attempt := 1;
  v_reservation.lease_token :=
    case v_reservation.upload_status when 'uploading' then gen_random_uuid() end;
  v_reservation.youtube_video_id := p_row ->> 'youtube_video_id';
  v_reservation.error_message := left(p_row ->> 'error_message', 2500);
  v_reservation.version := 1;
  v_reservation.charged_at := v_now;
  v_reservation.created_at := coalesce(v_made, v_now);
  v_reservation.created_by := caller_role();
  return v_reservation;
end;
$$;

comment on function langflix_reservation(jsonb, channel) is
  'What a row of LangFlix''s is booked as, but for its reservation_id; null in it what cannot be read.';
