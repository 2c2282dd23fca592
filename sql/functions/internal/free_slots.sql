-- The next free slots of a channel, as committed now: of each day its posting
-- times first, then the full hours from 09:00 to 21:00. Candidates that would
-- charge what was refused a moment ago are passed over without asking again.
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
  v_candidates timestamptz[];
  v_candidate timestamptz;
  v_charges charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_offset in 0 .. p_horizon_days - 1 loop
    v_day := v_first_day + v_offset;
    v_candidates := array(
      select candidate.publish_time
      from (
        select
          preferred.local_time,
          min(preferred.rank) as rank,
          local_instant(v_day + preferred.local_time, p_channel.time_zone) as publish_time
        from (
          select t.local_time, 1 as rank
          from posting_time as t
          where t.channel_id = p_channel.channel_id
            and (t.iso_weekday is null or t.iso_weekday = extract(isodow from v_day))
          union all
          select make_time(hours.hour, 0, 0), 2
          from generate_series(9, 21) as hours (hour)
        ) as preferred
        group by preferred.local_time
      ) as candidate
      where candidate.publish_time > p_from
        and not exists (
          select from reservation as r
          where r.channel_id = p_channel.channel_id
            and r.scheduled_publish_time = candidate.publish_time
            and r.upload_status in ('scheduled', 'uploading', 'completed')
        )
        and not exists (
          select from blackout as b
          where b.channel_id = p_channel.channel_id
            and b.from_time <= candidate.publish_time
            and b.to_time > candidate.publish_time
        )
      order by candidate.rank, candidate.local_time
    );
    foreach v_candidate in array v_candidates loop
      v_charges := array(
        select c
        from charges_for(
          p_channel.channel_id, p_type, v_candidate,
          upload_time_for(v_candidate, p_channel.upload_lead, clock_now())
        ) as c
      );
      continue when v_charges = v_full;
      if (limit_refusal(v_charges)).code is not null then
        v_full := v_charges;
        continue;
      end if;
      return next v_candidate;
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
