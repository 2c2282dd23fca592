-- A reservation as its update trigger will leave it when today's rules are
-- applied to it.
create function as_recharged(p_reservation reservation)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_channel channel;
begin
  p_reservation.charged_at := clock_now();
  if p_reservation.upload_status = 'scheduled' then
    select c.* into v_channel
    from channel as c
    where c.channel_id = p_reservation.channel_id;
    p_reservation.time_zone := v_channel.time_zone;
    p_reservation.local_date :=
      (p_reservation.scheduled_publish_time at time zone v_channel.time_zone)::date;
    p_reservation.upload_time := upload_time_for(
      p_reservation.scheduled_publish_time, v_channel.upload_lead, clock_now()
    );
  end if;
  return p_reservation;
end;
$$;

comment on function as_recharged(reservation) is
  'The reservation with today''s zone and upload time of its channel, if it is scheduled.';
