-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock. Of several limits
-- that are reached, posting limits are told first, then by day and limit. The
-- charges are ordered by day, limit and units.
create function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_charge charge;
  v_given_back charge;
  v_used_units integer;
  v_max_units integer;
  v_version integer;
  v_reached charge;
  v_reached_used_units integer;
  v_reached_max_units integer;
  v_reached_version integer;
begin
  foreach v_charge in array p_charges loop
    if v_charge.units <= 0 then
      v_given_back := v_charge;
      continue;
    end if;
    select d.max_units, coalesce(latest.used_units, 0), coalesce(latest.version, 0)
    into v_max_units, v_used_units, v_version
    from limit_day as d
    left join lateral (
      select e.used_units, e.version
      from usage_ledger as e
      where e.limit_id = d.limit_id and e.day = d.day
      order by e.version desc
      limit 1
    ) as latest on true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      -- Nobody has booked the day: it has no entry, and the maximum of its limit.
      select l.max_units, 0, 0 into v_max_units, v_used_units, v_version
      from daily_limit as l
      where l.limit_id = v_charge.limit_id;
    end if;
    continue when v_used_units + v_charge.units <= v_max_units;
    -- What is given back on the same day stands before it, and makes room.
    continue when (v_given_back.limit_id, v_given_back.day) = (v_charge.limit_id, v_charge.day)
      and v_used_units + v_charge.units + v_given_back.units <= v_max_units;
    if v_reached.limit_id is null or v_charge.counted_at < v_reached.counted_at then
      v_reached := v_charge;
      v_reached_used_units := v_used_units;
      v_reached_max_units := v_max_units;
      v_reached_version := v_version;
    end if;
  end loop;
  if v_reached.limit_id is null then
    return null;
  end if;
  return row(
    'SWLIM',
    format(
      'daily limit %L is reached on %s: %s of %s units used, %s more needed',
      v_reached.limit_id, to_char(v_reached.day, 'YYYY-MM-DD'),
      v_reached_used_units, v_reached_max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached_used_units,
      'max', v_reached_max_units,
      'units', v_reached.units,
      'version', v_reached_version
    )
  )::refusal;
end;
$$;

comment on function limit_refusal(charge[]) is
  'SWLIM, if the charges would pass a maximum; posting limits before upload limits; else null.';
