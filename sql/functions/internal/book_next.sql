-- Books the first free slot, or says why there is none. What is lost to a
-- booking that does not queue on the channel is passed over, as long as the
-- order of locks allows it.
create function book_next(
  p_channel channel,
  p_type text,
  p_from date,
  p_horizon_days integer,
  p_video text,
  p_append boolean,
  p_request_key text,
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
  v_first_day date;
  v_from timestamptz;
  v_last timestamptz;
  v_slot timestamptz;
  v_charges charge[];
  v_held charge[];
begin
  v_first_day := coalesce(p_from, (clock_now() at time zone p_channel.time_zone)::date);
  v_from := greatest(
    day_start(v_first_day, p_channel.time_zone) - interval '1 minute', clock_now()
  );
  if p_append then
    select max(r.scheduled_publish_time) into v_last
    from reservation as r
    where r.channel_id = p_channel.channel_id
      and r.upload_status in ('scheduled', 'uploading', 'completed');
    v_from := greatest(v_from, v_last);
  end if;

  -- What is lost to others may lead to days that are missing, with others held.
  perform share_limits(
    array(
      select distinct r.limit_id
      from charge_rule as r
      where r.channel_id = p_channel.channel_id and r.video_type = p_type
      order by r.limit_id
    ),
    p_deadline
  );
  loop
    select free.slot into v_slot
    from free_slots(
      p_channel, p_type, v_from,
      v_first_day + p_horizon_days - (v_from at time zone p_channel.time_zone)::date,
      1
    ) as free (slot);
    if v_slot is null then
      v_booking := replay(p_request_key, 'reserve_next_slot', p_arguments);
      if not is_settled(v_booking) then
        v_booking.refusal := coalesce(
          video_refusal(p_channel, p_video),
          row(
            'SWNON',
            format('no slot is free for a %L of channel %L from %s to %s',
              p_type, p_channel.channel_id, to_char(v_first_day, 'YYYY-MM-DD'),
              to_char(v_first_day + p_horizon_days - 1, 'YYYY-MM-DD')),
            jsonb_build_object(
              'channel', p_channel.channel_id, 'type', p_type,
              'from', to_char(v_first_day, 'YYYY-MM-DD'), 'horizon_days', p_horizon_days
            )
          )::refusal
        );
      end if;
      return v_booking;
    end if;
    v_charges := array(
      select c
      from charges_for(
        p_channel.channel_id, p_type, v_slot,
        upload_time_for(v_slot, p_channel.upload_lead, clock_now())
      ) as c
    );
    if exists (
      select from unnest(v_charges) as c
      where not exists (
          select from unnest(v_held) as h where h.limit_id = c.limit_id and h.day = c.day
        )
        and exists (
          select from unnest(v_held) as h where (h.day, h.limit_id) > (c.day, c.limit_id)
        )
    ) then
      raise exception 'the slots of channel % changed meanwhile', quote_literal(p_channel.channel_id)
        using errcode = 'serialization_failure',
          hint = 'Try the transaction again.';
    end if;
    v_booking := book(
      p_channel, p_type, v_slot, p_video, p_request_key,
      'reserve_next_slot', p_arguments, p_deadline
    );
    if (v_booking.refusal).code is null
      or (v_booking.refusal).code not in ('SWPST', 'SWBLK', 'SWTKN', 'SWLIM')
    then
      return v_booking;
    end if;
    v_held := v_held || v_charges;
    perform bound_lock_wait(p_deadline);
  end loop;
end;
$$;

comment on function book_next(channel, text, date, integer, text, boolean, text, jsonb, timestamptz) is
  'Books the first free slot of a span of days, or says why there is none; 55P03, 40001.';
