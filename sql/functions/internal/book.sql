-- Books one slot, or says why not; raises only for waits and conflicts.
--
-- Looked at once before the locks, so that what is certain already is refused
-- without waiting and without writing; then the days are locked, and looked at
-- again. A key is looked up before every refusal, since what speaks against
-- the slot may be the first call under the same key.
create function book(
  p_channel channel,
  p_type text,
  p_publish_time timestamptz,
  p_video text,
  p_request_key text,
  p_function text,
  p_arguments jsonb,
  p_deadline timestamptz
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_booking booking;
  v_replayed booking;
  v_upload_time timestamptz;
  v_charges charge[];
  v_locked charge[];
  v_reservation_id bigint;
  v_reservation reservation;
begin
  loop
    v_replayed := replay(p_request_key, p_function, p_arguments);
    if is_settled(v_replayed) then
      return v_replayed;
    end if;

    v_upload_time := upload_time_for(p_publish_time, p_channel.upload_lead, clock_now());
    v_charges := array(
      select c
      from charges_for(p_channel.channel_id, p_type, p_publish_time, v_upload_time) as c
    );
    v_booking.refusal := slot_refusal(p_channel, p_publish_time, p_video, v_charges);

    if (v_booking.refusal).code is null and v_charges is distinct from v_locked then
      perform lock_days(v_charges, p_deadline);
      -- Once more from the start, now under the lock: the clock has moved on,
      -- and with it perhaps the day of the upload.
      v_locked := v_charges;
      continue;
    end if;

    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;

    v_reservation_id := nextval('reservation_id_seq');
    perform bound_lock_wait(p_deadline);
    if p_request_key is not null then
      insert into request (request_key, function, arguments, reservation_id)
      values (p_request_key, p_function, p_arguments, v_reservation_id)
      on conflict do nothing;
      continue when not found;
    end if;
    insert into reservation (
      reservation_id, channel_id, video_type, video_path, scheduled_publish_time,
      upload_time, local_date, time_zone
    )
    values (
      v_reservation_id, p_channel.channel_id, p_type, p_video, p_publish_time,
      v_upload_time,
      (p_publish_time at time zone p_channel.time_zone)::date,
      p_channel.time_zone
    )
    on conflict do nothing
    returning * into v_reservation;
    if found then
      v_booking.reservation := v_reservation;
      return v_booking;
    end if;
    -- Somebody who shares no limit with this booking was first. The key must
    -- not lead to a booking that is not there.
    delete from request where request_key = p_request_key;
  end loop;
end;
$$;

comment on function book(channel, text, timestamptz, text, text, text, jsonb, timestamptz) is
  'Books a slot under the locks of its days, or says why not; 55P03 past the deadline, 40001.';
