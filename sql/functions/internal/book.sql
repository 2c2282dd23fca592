-- Books one slot, or says why not; raises only for waits and conflicts.
--
-- A day that is full already, as committed, is refused without waiting and
-- without writing. Otherwise the days are locked and looked at again, and the
-- unique indexes decide who was first. Only what is refused is looked at in
-- full, since of several reasons the first is told; and only after the key was
-- looked up once more, since the reason may be the first call under that key.
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
  v_obstacle refusal;
  v_reservation_id bigint;
  v_reservation reservation;
begin
  loop
    if p_request_key is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      if is_settled(v_replayed) then
        return v_replayed;
      end if;
    end if;

    v_upload_time := upload_time_for(p_publish_time, p_channel.upload_lead, clock_now());
    v_charges := array(
      select c
      from charges_for(p_channel.channel_id, p_type, p_publish_time, v_upload_time) as c
    );
    v_obstacle := coalesce(
      past_refusal(p_publish_time, p_channel.time_zone),
      limit_refusal(v_charges)
    );
    if v_obstacle.code is null then
      if lock_days(v_charges, p_deadline) then
        perform require_same_rules(p_channel, p_type, p_publish_time, v_charges);
      end if;
      v_obstacle := coalesce(
        past_refusal(p_publish_time, p_channel.time_zone),
        blackout_refusal(p_channel.channel_id, p_publish_time),
        limit_refusal(v_charges)
      );
    end if;

    if v_obstacle.code is null then
      v_reservation_id := nextval('reservation_id_seq');
      if p_request_key is not null then
        insert into request (request_key, function, arguments, reservation_id)
        values (p_request_key, p_function, p_arguments, v_reservation_id)
        on conflict do nothing;
        continue when not found;
      end if;
      if p_request_key is not null or p_video is not null then
        -- The insert may wait for a booking of the slot, then for one of the video.
        perform bound_lock_wait(p_deadline, 2);
      end if;
      insert into reservation (
        reservation_id, channel_id, video_type, video_path, scheduled_publish_time,
        upload_time, local_date, time_zone, held_units
      )
      values (
        v_reservation_id, p_channel.channel_id, p_type, p_video, p_publish_time,
        v_upload_time,
        (p_publish_time at time zone p_channel.time_zone)::date,
        p_channel.time_zone,
        units_of(v_charges)
      )
      on conflict do nothing
      returning * into v_reservation;
      if found then
        v_booking.reservation := v_reservation;
        return v_booking;
      end if;
      -- The key must not lead to a booking that is not there.
      delete from request where request_key = p_request_key;
    end if;

    v_booking.refusal := coalesce(
      slot_refusal(p_channel, p_publish_time, p_video),
      case v_obstacle.code when 'SWLIM' then v_obstacle end
    );
    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;
    -- What spoke against it has gone meanwhile: look again.
  end loop;
end;
$$;

comment on function book(channel, text, timestamptz, text, text, text, jsonb, timestamptz) is
  'Books a slot under the locks of its days, or says why not; 55P03 past the deadline, 40001.';
