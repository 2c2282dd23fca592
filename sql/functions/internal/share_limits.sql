-- Holds limits as they are, for calls that may create their days: a new day
-- takes its maximum from its limit, and limits come before days in the order of
-- locks. They are given in order of their names.
create function share_limits(p_limit_ids text[], p_deadline timestamptz)
returns boolean
language plpgsql
volatile
set search_path from current
as $$
declare
  v_limit_id text;
  v_waited boolean := false;
begin
  foreach v_limit_id in array p_limit_ids loop
    -- Most limits are free: only a wait needs a bound.
    perform from daily_limit as l where l.limit_id = v_limit_id for share skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from daily_limit as l where l.limit_id = v_limit_id for share;
      if not found then
        raise exception 'limit % was deleted meanwhile', quote_literal(v_limit_id)
          using errcode = 'serialization_failure', hint = 'Try the transaction again.';
      end if;
      perform end_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;

comment on function share_limits(text[], timestamptz) is
  'Locks limits against changes, in order of their names, and says whether it had to wait; 55P03 past the deadline, 40001.';
