-- The one place that locks days. Order of locks, everywhere in slotwarden:
--
--   0. the channel's row: reserve_next_slot, and what sets a channel's ways;
--      then daily_limit rows, by limit_id: what sets limits and rules
--   1. missing limit_day rows, created by (day, limit_id); their trigger takes
--      the daily_limit row for share, so that a maximum that is being changed
--      is waited for
--   2. limit_day rows that exist, for update, by (day, limit_id)
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
  v_existing charge[] := '{}';
  v_missing charge[] := '{}';
  v_late boolean := false;
  v_waited boolean := false;
begin
  foreach v_charge in array p_charges loop
    assert v_previous.day is null
      or (v_previous.day, v_previous.limit_id) <= (v_charge.day, v_charge.limit_id),
      'charges are locked in the order of day and limit';
    v_previous := v_charge;
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if found then
      v_existing := v_existing || v_charge;
    else
      v_missing := v_missing || v_charge;
    end if;
  end loop;

  foreach v_charge in array v_missing loop
    perform bound_lock_wait(p_deadline);
    insert into limit_day (limit_id, day)
    values (v_charge.limit_id, v_charge.day)
    on conflict do nothing;
    if not found then
      -- Created by another transaction meanwhile.
      v_existing := v_existing || v_charge;
      v_late := true;
      v_waited := true;
    end if;
  end loop;
  if v_late then
    v_existing := sorted_charges(v_existing);
  end if;

  foreach v_charge in array v_existing loop
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
