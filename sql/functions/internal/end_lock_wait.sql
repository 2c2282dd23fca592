-- Follows a row's lock that the call may have waited for. That may have been
-- two waits, for a place in the queue and for the lock, and each may have taken
-- what was left of the budget.
create function end_lock_wait(p_deadline timestamptz)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  if clock_timestamp() > p_deadline then
    raise exception 'canceling statement due to lock timeout'
      using errcode = 'lock_not_available',
        hint = 'Another transaction held a lock that this call needs; try again.';
  end if;
  perform bound_lock_wait(p_deadline);
end;
$$;

comment on function end_lock_wait(timestamptz) is
  'Ends a wait for a row, and bounds the next one; 55P03 past the deadline.';
