-- What the constraints of a table cannot say of a booking, for direct writes:
-- its day is the channel's, and the channel publishes then.
create function check_reservation_slot(p_reservation reservation)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_zone text;
  v_refusal refusal;
begin
  select c.time_zone into v_zone
  from channel as c
  where c.channel_id = p_reservation.channel_id;
  if p_reservation.time_zone <> v_zone
    or p_reservation.local_date
      <> (p_reservation.scheduled_publish_time at time zone v_zone)::date
  then
    raise exception 'local_date and time_zone of a reservation are those of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave both out; they are filled in.';
  end if;
  if p_reservation.upload_status = 'scheduled' then
    v_refusal := blackout_refusal(
      p_reservation.channel_id, p_reservation.scheduled_publish_time
    );
    if v_refusal.code is not null then
      perform raise_refusal(v_refusal);
    end if;
  end if;
end;
$$;

comment on function check_reservation_slot(reservation) is
  'Refuses a booking whose local day is not its channel''s (23514) or that is blacked out (SWBLK).';
