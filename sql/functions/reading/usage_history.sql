-- usage_history: what a channel used of its limits, day by day.
--
--   p_from, p_to  first and last day, at most 3,660; null: the last 30 days
--   p_channel     the channel
--   p_limit       only this limit; null: all that the channel charges
--
-- Returns a row for each limit and day that was ever booked or overridden,
-- latest first: limit_id, counted_at, day, used_units, max_units, used_percent,
-- overridden, version.
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function usage_history(
  p_from date default null,
  p_to date default null,
  p_channel text default 'default',
  p_limit text default null
)
returns table (
  limit_id text,
  counted_at text,
  day date,
  used_units integer,
  max_units integer,
  used_percent numeric,
  overridden boolean,
  version integer
)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_to date := coalesce(p_to, (clock_now() at time zone v_channel.time_zone)::date);
  v_from date;
begin
  perform raise_refusal(day_refusal('p_to', v_to));
  v_from := coalesce(p_from, v_to - 29);
  perform raise_refusal(day_refusal('p_from', v_from));
  if v_to - v_from not between 0 and 3659 then
    perform raise_refusal(
      invalid_argument('p_from', 'a history has 1 to 3,660 days, first to last')
    );
  end if;
  if p_limit is not null then
    perform raise_refusal(limit_name_refusal(p_limit));
  end if;
  return query
  select
    u.limit_id, u.counted_at, u.day, u.used_units, u.max_units,
    percent_used(u.used_units, u.max_units), u.overridden, u.version
  from (
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = v_channel.channel_id
      and (p_limit is null or r.limit_id = p_limit)
  ) as charged
  join daily_usage as u
    on u.limit_id = charged.limit_id
    and u.day between v_from and v_to
  order by u.day desc, u.counted_at, u.limit_id;
end;
$$;

comment on function usage_history(date, date, text, text) is
  'Used and maximum of a channel''s limits, day by day, latest first. Errors: SWARG SWCHN. Reads only.';
