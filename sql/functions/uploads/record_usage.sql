-- record_usage: counts units that something else than a booking has used of a
-- limit, such as other calls of YouTube's API, or an upload made by hand.
--
--   p_limit  the limit
--   p_units  units, 0 to 1,000,000,000
--   p_day    day in the limit's zone; null: today
--   p_note   what used them
--
-- Returns the recorded usage.
-- SQLSTATEs: SWARG, SWLIM (they would pass the maximum: nothing is recorded),
-- 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day row, until the transaction ends.
create function record_usage(
  p_limit text,
  p_units integer,
  p_day date default null,
  p_note text default null
)
returns external_usage
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
  v_day date := coalesce(p_day, limit_today(p_limit));
  v_charges charge[] := array(
    select row(l.limit_id, l.counted_at, v_day, p_units)::charge
    from daily_limit as l
    where l.limit_id = p_limit
  );
  v_usage external_usage;
begin
  perform raise_refusal(limit_name_refusal(p_limit));
  if p_units is null or p_units not between 0 and 1000000000 then
    perform raise_refusal(invalid_argument('p_units', 'usage is 0 to 1,000,000,000 units'));
  end if;
  if octet_length(p_note) > 2000 then
    perform raise_refusal(invalid_argument('p_note', 'a note has at most 2,000 bytes'));
  end if;
  perform raise_refusal(day_refusal('p_day', v_day));
  perform lock_days(v_charges, v_deadline);
  perform raise_refusal(limit_refusal(v_charges));
  insert into external_usage (limit_id, day, units, note)
  values (p_limit, v_day, p_units, p_note)
  returning * into v_usage;
  return v_usage;
end;
$$;

comment on function record_usage(text, integer, date, text) is
  'Counts units that something else than a booking has used of a limit, and returns the record. Errors: SWARG SWLIM 55P03 40001 40P01. Locks: the limit_day row.';
