-- Raises maxima as far as charges need it, and returns the days as they were.
-- The days are locked, and langflix_restore_maxima follows before they are let
-- go, so nobody else can book what is made room for.
create function langflix_make_room(p_charges charge[])
returns limit_day[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_charge charge;
  v_usage record;
  v_day limit_day;
  v_days limit_day[] := '{}';
begin
  foreach v_charge in array p_charges loop
    v_usage := usage_of(v_charge.limit_id, v_charge.day);
    continue when v_usage.used_units + v_charge.units <= v_usage.max_units;
    select d.* into v_day
    from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    v_days := v_days || v_day;
    update limit_day as d
    set max_units = v_usage.used_units + v_charge.units, overridden = true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
  end loop;
  return v_days;
end;
$$;

comment on function langflix_make_room(charge[]) is
  'Raises the maxima of locked days as far as charges need it; returns the days as they were.';
