create function blackout_refusal(p_channel text, p_publish_time timestamptz)
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_blackout blackout;
begin
  select b.* into v_blackout
  from blackout as b
  where b.channel_id = p_channel
    and b.from_time <= p_publish_time
    and b.to_time > p_publish_time
  order by b.to_time desc
  limit 1;
  if not found then
    return null;
  end if;
  return row(
    'SWBLK',
    format('channel %L publishes nothing then: %s', p_channel, v_blackout.reason),
    jsonb_build_object(
      'channel', p_channel,
      'publish_time', utc_text(p_publish_time),
      'from', utc_text(v_blackout.from_time),
      'to', utc_text(v_blackout.to_time),
      'reason', v_blackout.reason
    )
  )::refusal;
end;
$$;

comment on function blackout_refusal(text, timestamptz) is
  'SWBLK, if the channel is blacked out at that instant; else null.';
