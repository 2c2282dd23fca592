-- Gives a reservation another slot: the common part of reschedule_reservation
-- (scheduled) and retry_upload (failed). As in book, one looks before the locks
-- and again under them, and looks a key up before every refusal.
create function move_reservation(
  p_function text,
  p_needed_status text,
  p_reservation_id bigint,
  p_date date,
  p_time time,
  p_expected_version integer,
  p_request_key text
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_seen reservation := require_reservation(p_reservation_id);
  v_channel channel;
  v_publish_time timestamptz;
  v_arguments jsonb;
  v_booking booking;
  v_replayed booking;
  v_reservation reservation;
  v_charges charge[];
begin
  v_booking.refusal := coalesce(
    local_time_refusal(p_date, p_time),
    argument_refusal(v_seen.channel_id, v_seen.video_type, null, p_request_key)
  );
  if (v_booking.refusal).code is not null then
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = v_seen.channel_id;
  v_publish_time := local_instant(p_date + p_time, v_channel.time_zone);
  if v_publish_time is null then
    v_booking.refusal := clock_gap_refusal(p_date + p_time, v_channel.time_zone);
    return v_booking;
  end if;
  v_arguments := jsonb_build_object(
    'reservation_id', p_reservation_id, 'date', to_char(p_date, 'YYYY-MM-DD'),
    'time', to_char(p_time, 'HH24:MI'), 'expected_version', p_expected_version
  );

  for v_look in 1 .. 2 loop
    v_replayed := replay(p_request_key, p_function, v_arguments);
    if is_settled(v_replayed) then
      return v_replayed;
    end if;
    v_charges := array(
      select c
      from charges_for(
        v_seen.channel_id, v_seen.video_type, v_publish_time,
        upload_time_for(v_publish_time, v_channel.upload_lead, clock_now())
      ) as c
    );
    if v_look = 2 then
      v_seen := lock_reservation(v_seen, v_charges, v_deadline, p_request_key);
      v_replayed := replay(p_request_key, p_function, v_arguments);
      if is_settled(v_replayed) then
        return v_replayed;
      end if;
      perform require_same_rules(v_channel, v_seen.video_type, v_publish_time, v_charges);
    end if;
    v_booking.refusal := coalesce(
      status_refusal(v_seen, p_needed_status, 'scheduled'),
      version_refusal(v_seen, p_expected_version),
      case
        when v_seen.upload_status = 'scheduled'
          and v_seen.scheduled_publish_time = v_publish_time then null::refusal
        else coalesce(
          slot_refusal(v_channel, v_publish_time, v_seen.video_path, p_reservation_id),
          limit_refusal(net_charges(v_charges, array(
            select h from charges_held(p_reservation_id, v_seen.attempt) as h
            where v_seen.upload_status = 'scheduled'
          )))
        )
      end
    );
    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, v_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;
  end loop;

  if p_request_key is not null then
    insert into request (request_key, function, arguments, reservation_id)
    values (p_request_key, p_function, v_arguments, p_reservation_id)
    on conflict do nothing;
    if not found then
      return replay(p_request_key, p_function, v_arguments);
    end if;
  end if;
  if v_seen.upload_status = 'scheduled' and v_seen.scheduled_publish_time = v_publish_time then
    v_booking.reservation := v_seen;
    return v_booking;
  end if;
  -- Somebody who shares no limit with this reservation may take the slot in
  -- this moment; an update has no "on conflict".
  begin
    perform bound_lock_wait(v_deadline, 2);
    update reservation as r
    set
      scheduled_publish_time = v_publish_time,
      upload_status = 'scheduled',
      attempt = r.attempt + case r.upload_status when 'failed' then 1 else 0 end,
      lease_token = case r.upload_status when 'failed' then null else r.lease_token end,
      lease_expires_at = null
    where r.reservation_id = p_reservation_id
    returning r.* into v_reservation;
  exception
    when unique_violation then
      delete from request where request_key = p_request_key;
      v_booking.refusal := slot_refusal(
        v_channel, v_publish_time, v_seen.video_path, p_reservation_id
      );
      if (v_booking.refusal).code is null then
        -- Gone again, or hidden from this transaction's snapshot.
        raise exception 'slot % was taken meanwhile',
          local_text(v_publish_time, v_channel.time_zone)
          using errcode = 'serialization_failure',
            hint = 'Try the transaction again.';
      end if;
      return v_booking;
  end;
  v_booking.reservation := v_reservation;
  return v_booking;
end;
$$;

comment on function move_reservation(text, text, bigint, date, time, integer, text) is
  'Gives a scheduled or failed reservation another slot, or says why not; SWNFD, 55P03, 40001.';
