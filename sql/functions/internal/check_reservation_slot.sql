-- What the constraints of a table cannot say of a booking, for direct writes:
-- its day is the channel's, and the channel publishes then.
create function check_reservation_slot(p_reservation reservation)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_day_is_true boolean;
  v_is_blacked_out boolean;
begin
  select
    c.time_zone = p_reservation.time_zone
    and p_reservation.local_date =
      (p_reservation.scheduled_publish_time at time zone c.time_zone)::date,
    exists (
      select from blackout as b
      where b.channel_id = c.channel_id
        and b.from_time <= p_reservation.scheduled_publish_time
        and b.to_time > p_reservation.scheduled_publish_time
    )
  into v_day_is_true, v_is_blacked_out
  from channel as c
  where c.channel_id = p_reservation.channel_id;
  if not v_day_is_true then
    raise exception 'local_date and time_zone of a reservation are those of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave both out; they are filled in.';
  end if;
  if v_is_blacked_out and p_reservation.upload_status = 'scheduled' then
    perform raise_refusal(
      blackout_refusal(p_reservation.channel_id, p_reservation.scheduled_publish_time)
    );
  end if;
end;
$$;

comment on function check_reservation_slot(reservation) is
  'Refuses a booking whose local day is not its channel''s (23514) or that is blacked out (SWBLK).';
