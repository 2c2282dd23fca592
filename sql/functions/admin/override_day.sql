-- override_day: sets the maximum of one day of a limit. It may be lower than
-- what is booked: nothing is lost, nothing new is accepted.
--
--   p_limit  the limit
--   p_day    day in the limit's zone
--   p_max    units on that day; null takes the override back
--
-- Returns the day.
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 40001.
-- Locks: the limit (for share), then the day.
create function override_day(p_limit text, p_day date, p_max integer)
returns limit_day
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_day limit_day;
begin
  perform raise_refusal(limit_name_refusal(p_limit));
  perform raise_refusal(day_refusal('p_day', p_day));
  perform raise_refusal(max_units_refusal(p_max));

  -- A day that follows its limit again reads the limit's row, which comes first
  -- in the order of locks.
  perform share_limits(array[p_limit], v_deadline);
  perform lock_days(array[row(p_limit, null, p_day, 0)::charge], v_deadline);
  update limit_day as d
  set
    max_units = coalesce(p_max, d.max_units),
    overridden = p_max is not null
  where d.limit_id = p_limit
    and d.day = p_day
    and (d.overridden or p_max is not null)
    and (d.overridden, d.max_units) is distinct from (true, p_max)
  returning d.* into v_day;
  if not found then
    select d.* into v_day from limit_day as d where d.limit_id = p_limit and d.day = p_day;
  end if;
  return v_day;
end;
$$;

comment on function override_day(text, date, integer) is
  'Sets the maximum of one day, or (null) takes it back, and returns the day. Errors: SWARG 55P03 40001. Locks: the day.';
