-- Locks limits for a change of their rules or of the zones of their channels,
-- one by one, so that the waits share one budget.
create function lock_limits(p_limit_ids text[], p_deadline timestamptz)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_limit_id text;
begin
  for v_limit_id in
    select distinct l.limit_id from unnest(p_limit_ids) as l (limit_id) order by l.limit_id
  loop
    -- Most limits are free: only a wait needs a bound.
    perform from daily_limit as l where l.limit_id = v_limit_id for no key update skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from daily_limit as l where l.limit_id = v_limit_id for no key update;
      perform end_lock_wait(p_deadline);
    end if;
  end loop;
end;
$$;

comment on function lock_limits(text[], timestamptz) is
  'Locks limits in order of their names; 55P03 past the deadline.';
