create function book_wish(p_wish booking_wish, p_deadline timestamptz)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_booking booking;
  v_channel channel;
begin
  if (p_wish.refusal).code is not null then
    v_booking.refusal := p_wish.refusal;
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_wish.channel_id;
  perform bound_lock_wait(p_deadline);
  return book(
    v_channel, p_wish.video_type, p_wish.publish_time, p_wish.video_path,
    p_wish.request_key, 'reserve_slots', p_wish.arguments, p_deadline
  );
end;
$$;

comment on function book_wish(booking_wish, timestamptz) is
  'Books one item of a batch, or says why not; 55P03, 40001.';
