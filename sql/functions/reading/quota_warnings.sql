-- quota_warnings: the limits of a channel of which much is used.
--
--   p_from, p_days  first day and number of days to look at, 1 to 366; null:
--                   today, for each limit in its own zone
--   p_channel       the channel
--   p_percent       share of the maximum from which to warn; null: each
--                   limit's own warn_percent (80, unless set otherwise)
--
-- Returns a row for each limit and day at or above the share: limit_id,
-- counted_at, day, used_units, max_units, used_percent, warn_percent, resets_at,
-- message (for a person).
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function quota_warnings(
  p_from date default null,
  p_days integer default 1,
  p_channel text default 'default',
  p_percent numeric default null
)
returns table (
  limit_id text,
  counted_at text,
  day date,
  used_units integer,
  max_units integer,
  used_percent numeric,
  warn_percent numeric,
  resets_at timestamptz,
  message text
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
begin
  if p_days is null or p_days not between 1 and 366 then
    perform raise_refusal(invalid_argument('p_days', 'one can look at 1 to 366 days'));
  end if;
  if p_from is not null then
    perform raise_refusal(day_refusal('p_from', p_from));
    perform raise_refusal(day_refusal('p_from', p_from + p_days));
  end if;
  if p_percent not between 0 and 100 then
    perform raise_refusal(invalid_argument('p_percent', 'a share lies between 0 and 100 percent'));
  end if;
  return query
  select
    s.limit_id, s.counted_at, s.day, s.used_units, s.max_units, s.used_percent,
    warn.percent,
    s.resets_at,
    format('%s of %s units of daily limit %L are used on %s (%s %%); it resets at %s',
      s.used_units, s.max_units, s.limit_id, to_char(s.day, 'YYYY-MM-DD'), s.used_percent,
      local_text(s.resets_at, v_channel.time_zone))
  from generate_series(0, p_days - 1) as ahead (days)
  cross join lateral channel_usage(v_channel, p_from, ahead.days) as s
  join daily_limit as l on l.limit_id = s.limit_id
  cross join lateral (select coalesce(p_percent, l.warn_percent) as percent) as warn
  where s.used_percent >= warn.percent
  order by s.day, s.counted_at, s.limit_id;
end;
$$;

comment on function quota_warnings(date, integer, text, numeric) is
  'The limits of a channel of which at least the warning share is used. Errors: SWARG SWCHN. Reads only.';
