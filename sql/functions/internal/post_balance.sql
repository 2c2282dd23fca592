-- An entry of 0 units: the maximum or the balance of a day was set. The day
-- is locked by the update that asks for it.
create function post_balance(p_day limit_day, p_used_units integer, p_reason text)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  insert into usage_ledger (
    limit_id, day, version, units, used_units, max_units, reason, at, by
  )
  select
    p_day.limit_id,
    p_day.day,
    coalesce(max(e.version), 0) + 1,
    0,
    coalesce(p_used_units, 0),
    p_day.max_units,
    p_reason,
    clock_now(),
    caller_role()
  from usage_ledger as e
  where e.limit_id = p_day.limit_id and e.day = p_day.day
  on conflict on constraint usage_ledger_pkey do nothing;
  if not found then
    perform raise_ledger_conflict();
  end if;
end;
$$;

comment on function post_balance(limit_day, integer, text) is
  'Appends an entry of 0 units to a day; 40001 when another writer was first.';
