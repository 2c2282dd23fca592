-- What can speak against a slot at this moment, but for the limits, in the
-- order in which it is told; limit_refusal comes after it.
create function slot_refusal(
  p_channel channel,
  p_publish_time timestamptz,
  p_video text,
  p_moving bigint default null
)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_refusal refusal := coalesce(
    past_refusal(p_publish_time, p_channel.time_zone),
    blackout_refusal(p_channel.channel_id, p_publish_time),
    video_refusal(p_channel, p_video, p_moving)
  );
  v_holder reservation;
begin
  if v_refusal.code is not null then
    return v_refusal;
  end if;

  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_channel.channel_id
    and r.scheduled_publish_time = p_publish_time
    and r.upload_status in ('scheduled', 'uploading', 'completed')
    and r.reservation_id is distinct from p_moving;
  if found then
    return row(
      'SWTKN',
      format('slot %s of channel %L is taken',
        local_text(p_publish_time, p_channel.time_zone), p_channel.channel_id),
      jsonb_build_object(
        'channel', p_channel.channel_id,
        'publish_time', utc_text(p_publish_time),
        'reservation_id', v_holder.reservation_id
      )
    )::refusal;
  end if;

  return null;
end;
$$;

comment on function slot_refusal(channel, timestamptz, text, bigint) is
  'The first of SWPST, SWBLK, SWDUP, SWTKN that speaks against a slot; else null. p_moving: a reservation that is about to leave its own slot.';
