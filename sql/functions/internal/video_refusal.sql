create function video_refusal(p_channel channel, p_video text, p_moving bigint default null)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_holder reservation;
begin
  if p_video is null then
    return null;
  end if;
  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_channel.channel_id
    and r.video_path = p_video
    and r.upload_status in ('scheduled', 'uploading', 'completed')
    and r.reservation_id is distinct from p_moving;
  if not found then
    return null;
  end if;
  return row(
    'SWDUP',
    format('video %L is booked already, for %s',
      p_video, local_text(v_holder.scheduled_publish_time, p_channel.time_zone)),
    jsonb_build_object(
      'channel', p_channel.channel_id,
      'video', p_video,
      'reservation_id', v_holder.reservation_id,
      'publish_time', utc_text(v_holder.scheduled_publish_time)
    )
  )::refusal;
end;
$$;

comment on function video_refusal(channel, text, bigint) is
  'SWDUP, if a video has a live booking on the channel, other than p_moving; else null.';
