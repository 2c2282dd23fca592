-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock.
create function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_reached record;
begin
  select
    c.limit_id, c.counted_at, c.day, c.units,
    usage.used_units, usage.max_units, usage.version
  into v_reached
  from unnest(p_charges) as c
  cross join lateral usage_of(c.limit_id, c.day) as usage
  where c.units > 0
    and usage.used_units + c.units > usage.max_units
    -- What is given back on the same day makes room, too.
    and usage.used_units + c.units + (
      select coalesce(sum(g.units), 0)
      from unnest(p_charges) as g
      where g.limit_id = c.limit_id and g.day = c.day and g.units < 0
    ) > usage.max_units
  order by c.counted_at, c.day, c.limit_id
  limit 1;
  if not found then
    return null;
  end if;
  return row(
    'SWLIM',
    format(
      'daily limit %L is reached on %s: %s of %s units used, %s more needed',
      v_reached.limit_id, to_char(v_reached.day, 'YYYY-MM-DD'),
      v_reached.used_units, v_reached.max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached.used_units,
      'max', v_reached.max_units,
      'units', v_reached.units,
      'version', v_reached.version
    )
  )::refusal;
end;
$$;

comment on function limit_refusal(charge[]) is
  'SWLIM, if the charges would pass a maximum; posting limits before upload limits; else null.';
