create function langflix_row_of(p_row jsonb, p_channel channel)
returns langflix_row
language plpgsql
volatile
set search_path from current
as $$
declare
  v_row langflix_row;
begin
  v_row.row := p_row;
  v_row.source_id := lower(p_row ->> 'id');
  if v_row.source_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    v_row.source_id := null;
  end if;
  v_row.created_at := langflix_instant(p_row ->> 'created_at', p_channel.time_zone);

  v_row.reservation := langflix_reservation(p_row, p_channel);
  v_row.reason := case
    when v_row.source_id is null then 'its id is not a UUID'
    when not exists (
      select from video_type as t
      where t.channel_id = p_channel.channel_id and t.video_type = p_row ->> 'video_type'
    ) then format(
      'channel %L has no video type %L',
      p_channel.channel_id, coalesce(left(p_row ->> 'video_type', 200), '')
    )
    when (v_row.reservation).upload_status is null then format(
      'its status %L is unknown', coalesce(left(p_row ->> 'upload_status', 200), '')
    )
    when p_row ->> 'video_path' = '' or octet_length(p_row ->> 'video_path') > 2000
      then 'its video path is empty, or longer than 2,000 bytes'
    else coalesce(
      langflix_time_refusal(p_row ->> 'scheduled_publish_time', p_channel.time_zone),
      case (v_row.reservation).upload_status
        when 'scheduled' then (blackout_refusal(
          p_channel.channel_id, (v_row.reservation).scheduled_publish_time
        )).message
      end
    )
  end;
  return v_row;
end;
$$;

comment on function langflix_row_of(jsonb, channel) is
  'Reads a row of LangFlix''s: what it is to be booked as, or what is wrong with it.';
