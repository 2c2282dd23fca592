create function langflix_reservation_of_video(p_channel text, p_video text)
returns reservation
language plpgsql
stable
set search_path from current
as $$
declare
  v_reservation reservation;
begin
  select r.* into v_reservation
  from reservation as r
  where r.channel_id = p_channel
    and r.video_path = p_video
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if found then
    return v_reservation;
  end if;

  -- No index leads to the others: only a call that errs or is repeated asks for them.
  select r.* into v_reservation
  from reservation as r
  where r.channel_id = p_channel and r.video_path = p_video
  order by r.created_at desc, r.reservation_id desc
  limit 1;
  if not found then
    raise exception 'video % has no reservation on channel %',
      quote_literal(left(p_video, 200)), quote_literal(p_channel)
      using errcode = 'SWNFD',
        detail = jsonb_build_object('channel', p_channel, 'video', left(p_video, 200));
  end if;
  return v_reservation;
end;
$$;

comment on function langflix_reservation_of_video(text, text) is
  'The live reservation of a video, else its latest; SWNFD: there is none.';
