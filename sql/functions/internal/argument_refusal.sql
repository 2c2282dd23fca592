-- Mistakes in what every booking function is given: SWARG, then SWCHN, SWTYP.
create function argument_refusal(
  p_channel text,
  p_type text,
  p_video text,
  p_request_key text
)
returns refusal
language plpgsql
stable
set search_path from current
as $$
begin
  if p_channel is null then
    return invalid_argument('p_channel', 'a channel is needed');
  elsif p_type is null then
    return invalid_argument('p_type', 'a video type is needed');
  elsif p_video = '' or octet_length(p_video) > 2000 then
    return invalid_argument('p_video', 'a video is named by 1 to 2,000 bytes, or by null');
  elsif p_request_key = '' or octet_length(p_request_key) > 200 then
    return invalid_argument('p_request_key', 'a request key has 1 to 200 bytes, or is null');
  end if;
  -- A type belongs to a channel that exists.
  perform from video_type as t where t.channel_id = p_channel and t.video_type = p_type;
  if found then
    return null;
  end if;
  if not exists (select from channel as c where c.channel_id = p_channel) then
    return unknown_channel(p_channel);
  end if;
  return row(
    'SWTYP',
    format('channel %L has no video type %L', p_channel, left(p_type, 200)),
    jsonb_build_object('channel', p_channel, 'type', left(p_type, 200))
  )::refusal;
end;
$$;

comment on function argument_refusal(text, text, text, text) is
  'SWARG, SWCHN or SWTYP, if the arguments common to all bookings are wrong; else null.';
