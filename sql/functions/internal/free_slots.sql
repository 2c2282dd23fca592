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
  v_rule charge;
  v_is_full boolean;
  v_time time;
  v_slot timestamptz;
  v_charges charge[];
  v_with_room charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_ahead in 0 .. p_horizon_days - 1 loop
    v_day := v_first_day + v_ahead;
    v_is_full := false;
    foreach v_rule in array v_posting loop
      -- A day without an entry has nothing used, and the maximum of its limit.
      select coalesce(
        (
          select e.used_units + v_rule.units > e.max_units
          from usage_ledger as e
          where e.limit_id = l.limit_id and e.day = v_day
          order by e.version desc
          limit 1
        ),
        v_rule.units > l.max_units
      )
      into v_is_full
      from daily_limit as l
      where l.limit_id = v_rule.limit_id;
      exit when v_is_full;
    end loop;
    continue when v_is_full;
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
