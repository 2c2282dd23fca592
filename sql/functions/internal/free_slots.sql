-- The next free slots of a channel, as committed now, in the order of
-- times_of_day. A day on which a posting limit of the channel's own day is
-- reached is passed over as a whole: no time of it is free. Candidates that
-- would charge what was asked for a moment ago get the same answer.
create function free_slots(
  p_channel channel,
  p_type text,
  p_from timestamptz,
  p_horizon_days integer,
  p_count integer
)
returns setof timestamptz
language plpgsql
stable
set search_path from current
as $$
declare
  v_first_day date := (p_from at time zone p_channel.time_zone)::date;
  v_day date;
  v_posting charge[] := array(
    select row(r.limit_id, l.counted_at, null, r.units)::charge
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    where r.channel_id = p_channel.channel_id
      and r.video_type = p_type
      and l.counted_at = 'publish'
      and coalesce(l.time_zone, p_channel.time_zone) = p_channel.time_zone
  );
  v_time time;
  v_slot timestamptz;
  v_charges charge[];
  v_with_room charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_ahead in 0 .. p_horizon_days - 1 loop
    v_day := v_first_day + v_ahead;
    for v_limit in 1 .. cardinality(v_posting) loop
      v_posting[v_limit].day := v_day;
    end loop;
    continue when (limit_refusal(v_posting)).code is not null;
    for v_time in select t from times_of_day(p_channel.channel_id, v_day) as t loop
      v_slot := local_instant(v_day + v_time, p_channel.time_zone);
      continue when v_slot is null or v_slot <= p_from;
      perform from reservation as r
      where r.channel_id = p_channel.channel_id
        and r.scheduled_publish_time = v_slot
        and r.upload_status in ('scheduled', 'uploading', 'completed');
      continue when found;
      perform from blackout as b
      where b.channel_id = p_channel.channel_id
        and b.from_time <= v_slot
        and b.to_time > v_slot;
      continue when found;
      v_charges := array(
        select c
        from charges_for(
          p_channel.channel_id, p_type, v_slot,
          upload_time_for(v_slot, p_channel.upload_lead, clock_now())
        ) as c
      );
      continue when v_charges = v_full;
      if v_charges is distinct from v_with_room then
        if (limit_refusal(v_charges)).code is not null then
          v_full := v_charges;
          continue;
        end if;
        v_with_room := v_charges;
      end if;
      return next v_slot;
      v_found := v_found + 1;
      if v_found = p_count then
        return;
      end if;
    end loop;
  end loop;
end;
$$;

comment on function free_slots(channel, text, timestamptz, integer, integer) is
  'The next free slots after an instant, in the order in which they would be booked; reads only.';
