-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock.
create function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_charge charge;
  v_reached charge;
  v_usage record;
  v_reached_usage record;
begin
  -- One look-up by key for each: a join would be planned while the tables are
  -- small, and keep that plan when they have grown.
  foreach v_charge in array p_charges loop
    continue when v_charge.units <= 0
      or v_reached.limit_id is not null
        and (v_charge.counted_at, v_charge.day, v_charge.limit_id)
          > (v_reached.counted_at, v_reached.day, v_reached.limit_id);
    v_usage := usage_of(v_charge.limit_id, v_charge.day);
    if v_usage.used_units + v_charge.units > v_usage.max_units then
      v_reached := v_charge;
      v_reached_usage := v_usage;
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
      v_reached_usage.used_units, v_reached_usage.max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached_usage.used_units,
      'max', v_reached_usage.max_units,
      'units', v_reached.units,
      'version', v_reached_usage.version
    )
  )::refusal;
end;
$$;

comment on function limit_refusal(charge[]) is
  'SWLIM, if the charges would pass a maximum; posting limits before upload limits; else null.';
