-- What one video takes of the limits whose day is the channel's own: with one
-- of them full, no time of that day is free.
create function posting_charges(p_channel channel, p_type text, p_day date)
returns charge[]
language sql
stable
begin atomic
  select array(
    select row(r.limit_id, l.counted_at, p_day, r.units)::charge
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    where r.channel_id = (p_channel).channel_id
      and r.video_type = p_type
      and l.counted_at = 'publish'
      and coalesce(l.time_zone, (p_channel).time_zone) = (p_channel).time_zone
  );
end;

comment on function posting_charges(channel, text, date) is
  'The charges that every slot of a day would make, whatever its time.';
