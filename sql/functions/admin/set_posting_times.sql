-- set_posting_times: says at which local times a channel likes to publish;
-- reserve_next_slot tries them before any other hour.
--
--   p_times        the times, whole minutes; an empty array: none
--   p_channel      the channel
--   p_iso_weekday  1 (Monday) to 7 (Sunday); null: the times of every day. The
--                  times of a weekday are added to those of every day.
--
-- Replaces what was set for that weekday (or for every day). Returns the times.
-- SQLSTATEs: SWARG SWCHN 55P03. Locks: none that bookings wait for.
create function set_posting_times(
  p_times time[],
  p_channel text default 'default',
  p_iso_weekday integer default null
)
returns setof posting_time
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  if p_times is null then
    perform raise_refusal(invalid_argument('p_times', 'an array of times is needed'));
  end if;
  if p_iso_weekday not between 1 and 7 then
    perform raise_refusal(
      invalid_argument('p_iso_weekday', 'weekdays are 1 (Monday) to 7 (Sunday)')
    );
  end if;
  if exists (
    select from unnest(p_times) as t (local_time)
    where t.local_time is null or t.local_time = '24:00' or extract(second from t.local_time) <> 0
  ) then
    perform raise_refusal(
      invalid_argument('p_times', 'posting times are whole minutes between 00:00 and 23:59')
    );
  end if;
  -- One at a time, so that of two calls the later one holds, whole.
  perform lock_channel(p_channel, lock_deadline());
  delete from posting_time as t
  where t.channel_id = p_channel
    and t.iso_weekday is not distinct from p_iso_weekday;
  return query
  insert into posting_time (channel_id, local_time, iso_weekday)
  select distinct p_channel, t.local_time, p_iso_weekday::smallint
  from unnest(p_times) as t (local_time)
  order by t.local_time
  returning *;
end;
$$;

comment on function set_posting_times(time[], text, integer) is
  'Replaces the posting times of a channel, of every day or of one weekday, and returns them. Errors: SWARG SWCHN 55P03.';
