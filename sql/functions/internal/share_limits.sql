-- Holds limits as they are, for calls that may create their days: a new day
-- takes its maximum from its limit, and limits come before days in the order of
-- locks. They are given in order of their names.
create function share_limits(p_limit_ids text[], p_deadline timestamptz)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_limit_id text;
begin
  foreach v_limit_id in array p_limit_ids loop
    -- Most limits are free: only a wait needs a bound.
    perform from daily_limit as l where l.limit_id = v_limit_id for share skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from daily_limit as l where l.limit_id = v_limit_id for share;
      perform end_lock_wait(p_deadline);
    end if;
  end loop;
end;
$$;

comment on function share_limits(text[], timestamptz) is
  'Locks limits against changes, in order of their names; 55P03 past the deadline.';
