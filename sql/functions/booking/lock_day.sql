-- lock_day: holds a day of a channel until the transaction ends, so that what
-- is read of it stays true: nobody books, cancels or changes a maximum there.
--
--   p_day      day, for each limit of the channel in its own zone
--   p_channel  the channel
--
-- Returns what daily_status returns, read under the locks.
-- SQLSTATEs: SWARG SWCHN, 55P03 after 5 s of waiting, 40P01.
-- Locks: the limit_day rows of that day.
create function lock_day(p_day date, p_channel text default 'default')
returns table (
  limit_id text,
  counted_at text,
  time_zone text,
  day date,
  used_units integer,
  max_units integer,
  remaining_units integer,
  used_percent numeric,
  overridden boolean,
  version integer,
  resets_at timestamptz
)
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_channel channel := require_channel(p_channel);
begin
  perform raise_refusal(day_refusal('p_day', p_day));
  perform lock_days(
    array(
      select distinct row(r.limit_id, null, p_day, 0)::charge as c
      from charge_rule as r
      where r.channel_id = v_channel.channel_id
      order by c
    ),
    v_deadline
  );
  return query select u.* from channel_usage(v_channel, p_day, 0) as u;
end;
$$;

comment on function lock_day(date, text) is
  'Holds a day of a channel until the transaction ends and returns its status. Errors: SWARG SWCHN 55P03 40P01. Locks: the limit_day rows of that day.';
