-- set_daily_limit: changes a limit, or creates it. A new maximum holds from
-- today on, for all days that are not overridden; it may be lower than what is
-- booked: nothing is lost, and nothing new is accepted until usage falls below.
-- The other settings change new bookings only.
--
--   p_limit         name of the limit
--   p_max           units a day; null: unchanged
--   p_counted_at    publish or upload; null: unchanged
--   p_time_zone     IANA zone of its day, or "channel" for the charging
--                   channel's; null: unchanged
--   p_warn_percent  share of the maximum from which to warn; null: unchanged
--
-- A limit that does not exist is created if p_max and p_counted_at are given,
-- so that a slip in the name creates nothing.
-- Returns the limit.
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 25001 (a maximum is changed at
-- READ COMMITTED only).
-- Locks: the limit, then its days from today on, in their order.
create function set_daily_limit(
  p_limit text,
  p_max integer default null,
  p_counted_at text default null,
  p_time_zone text default null,
  p_warn_percent integer default null
)
returns daily_limit
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_time_zone text := nullif(p_time_zone, 'channel');
  v_limit daily_limit;
begin
  perform raise_refusal(name_refusal('p_limit', p_limit, 600));
  perform raise_refusal(max_units_refusal(p_max));
  if p_counted_at not in ('publish', 'upload') then
    perform raise_refusal(
      invalid_argument('p_counted_at', 'a limit counts at publish or at upload')
    );
  end if;
  if p_warn_percent not between 0 and 100 then
    perform raise_refusal(
      invalid_argument('p_warn_percent', 'a share lies between 0 and 100 percent')
    );
  end if;
  if v_time_zone is not null then
    perform require_zone(v_time_zone);
  end if;

  perform bound_lock_wait(v_deadline);
  if p_max is not null and p_counted_at is not null then
    insert into daily_limit (limit_id, max_units, time_zone, counted_at, warn_percent)
    values (p_limit, p_max, v_time_zone, p_counted_at, coalesce(p_warn_percent, 80))
    on conflict do nothing
    returning * into v_limit;
    if found then
      return v_limit;
    end if;
  end if;
  perform lock_limits(array[p_limit], v_deadline);
  if p_max is not null then
    perform lock_days(limit_days_ahead(p_limit), v_deadline);
  end if;
  update daily_limit as l
  set
    max_units = coalesce(p_max, l.max_units),
    counted_at = coalesce(p_counted_at, l.counted_at),
    time_zone = case when p_time_zone is null then l.time_zone else v_time_zone end,
    warn_percent = coalesce(p_warn_percent, l.warn_percent)
  where l.limit_id = p_limit
  returning l.* into v_limit;
  perform raise_refusal(
    limit_name_refusal(p_limit), 'Give p_max and p_counted_at to create it.'
  );
  return v_limit;
end;
$$;

comment on function set_daily_limit(text, integer, text, text, integer) is
  'Changes or creates a daily limit and returns it. Errors: SWARG 55P03 25001. Locks: the limit, then its days from today on.';
