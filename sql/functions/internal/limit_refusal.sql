-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock. Of several limits
-- that are reached, posting limits are told first, then by day and limit.
create function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_charge charge;
  v_usage record;
  v_reached charge;
  v_reached_usage record;
begin
  foreach v_charge in array p_charges loop
    continue when v_charge.units <= 0;
    select coalesce(e.used_units, 0) as used_units, d.max_units, coalesce(e.version, 0) as version
    into v_usage
    from limit_day as d
    left join lateral (
      select l.used_units, l.version
      from usage_ledger as l
      where l.limit_id = d.limit_id and l.day = d.day
      order by l.version desc
      limit 1
    ) as e on true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      -- Nobody has booked the day: it has no entry, and the maximum of its limit.
      select 0 as used_units, l.max_units, 0 as version into v_usage
      from daily_limit as l
      where l.limit_id = v_charge.limit_id;
    end if;
    continue when v_usage.used_units + v_charge.units <= v_usage.max_units;
    -- What is given back on the same day makes room, too.
    continue when v_usage.used_units + v_charge.units + (
      select coalesce(sum(g.units), 0)
      from unnest(p_charges) as g
      where g.limit_id = v_charge.limit_id and g.day = v_charge.day and g.units < 0
    ) <= v_usage.max_units;
    if v_reached.limit_id is null or v_charge.counted_at < v_reached.counted_at then
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
