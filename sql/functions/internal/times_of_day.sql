-- The local times that a day offers, in the order in which they are tried: its
-- posting times first, then the full hours from 09:00 to 21:00.
create function times_of_day(p_channel text, p_day date)
returns setof time
language sql
stable
begin atomic
  select preferred.local_time
  from (
    select t.local_time, 1 as rank
    from posting_time as t
    where t.channel_id = p_channel
      and (t.iso_weekday is null or t.iso_weekday = extract(isodow from p_day))
    union all
    select make_time(hours.hour, 0, 0), 2
    from generate_series(9, 21) as hours (hour)
  ) as preferred
  group by preferred.local_time
  order by min(preferred.rank), preferred.local_time;
end;

comment on function times_of_day(text, date) is
  'Posting times of a channel on a day, then the full hours from 09:00 to 21:00.';
