-- A booking by the channel's wall clock, for reserve_slot and its kin.
create function book_local(
  p_date date,
  p_type text,
  p_time time,
  p_video text,
  p_channel text,
  p_request_key text
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_booking booking;
  v_channel channel;
  v_publish_time timestamptz;
begin
  v_booking.refusal := local_time_refusal(p_date, p_time);
  if (v_booking.refusal).code is null then
    v_booking.refusal := argument_refusal(p_channel, p_type, p_video, p_request_key);
  end if;
  if (v_booking.refusal).code is not null then
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_publish_time := local_instant(p_date + p_time, v_channel.time_zone);
  if v_publish_time is null then
    v_booking.refusal := clock_gap_refusal(p_date + p_time, v_channel.time_zone);
    return v_booking;
  end if;
  return book(
    v_channel, p_type, v_publish_time, p_video, p_request_key,
    'reserve_slot',
    case
      when p_request_key is not null then jsonb_build_object(
        'date', to_char(p_date, 'YYYY-MM-DD'), 'type', p_type, 'time', to_char(p_time, 'HH24:MI'),
        'video', p_video, 'channel', p_channel
      )
    end,
    v_deadline
  );
end;
$$;

comment on function book_local(date, text, time, text, text, text) is
  'Books a local time of a channel, or says why not.';
