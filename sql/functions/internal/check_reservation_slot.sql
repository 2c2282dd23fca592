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
  if p_reservation.time_zone <> v_zone then
    raise exception 'the zone of the channel changed while the slot was booked'
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again; a direct write leaves time_zone out.';
  end if;
  if p_reservation.local_date
    <> (p_reservation.scheduled_publish_time at time zone v_zone)::date
  then
    raise exception 'the local_date of a reservation is that of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave it out; it is filled in.';
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
  'Refuses a booking whose local day is not its channel''s (23514; 40001 if its zone is not) or that is blacked out (SWBLK).';
