-- The one place that locks days. Order of locks, everywhere in slotwarden:
--
--   0. the channel's row: reserve_next_slot, and what sets a channel's ways
--   1. daily_limit rows, by limit_id: what sets limits and rules; and, for
--      share, what creates days, so that a maximum that is being changed is
--      waited for
--   2. limit_day rows, by (day, limit_id): those that exist for update, those
--      that are missing by creating them
--   3. the reservation's row, and the keys of its unique indexes
--
-- Whoever holds a lock waits only for later ones, so calls do not deadlock
-- among themselves. What is read under the lock must be read by a later
-- statement: one that locks and reads at once reads the state before its wait.
create function lock_days(p_charges charge[], p_deadline timestamptz)
returns boolean
language plpgsql
volatile
set search_path from current
as $$
declare
  v_charge charge;
  v_previous charge;
  v_missing charge[] := '{}';
  v_limits text[] := '{}';
  v_waited boolean := false;
begin
  foreach v_charge in array p_charges loop
    assert v_previous.day is null
      or (v_previous.day, v_previous.limit_id) <= (v_charge.day, v_charge.limit_id),
      'charges are locked in the order of day and limit';
    v_previous := v_charge;
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      v_missing := v_missing || v_charge;
      v_limits := v_limits || v_charge.limit_id;
    end if;
  end loop;
  if v_limits <> '{}' then
    -- Those of one day are in order already.
    if v_missing[1].day <> v_missing[cardinality(v_missing)].day then
      v_limits := array(select distinct l from unnest(v_limits) as l order by l);
    end if;
    v_waited := share_limits(v_limits, p_deadline);
  end if;

  foreach v_charge in array p_charges loop
    if v_charge = any (v_missing) then
      perform bound_lock_wait(p_deadline);
      insert into limit_day (limit_id, day)
      values (v_charge.limit_id, v_charge.day)
      on conflict do nothing;
      continue when found;
      -- Created by another transaction meanwhile.
      v_waited := true;
    end if;
    -- Most days are free: only a wait needs a bound.
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day
    for update skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from limit_day as d
      where d.limit_id = v_charge.limit_id and d.day = v_charge.day
      for update;
      perform end_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;

comment on function lock_days(charge[], timestamptz) is
  'Locks the days of the charges (ordered by day and limit), creating those that are missing, and says whether it had to wait; 55P03 past the deadline.';
