create function units_of(p_charges charge[])
returns integer
language plpgsql
immutable
set search_path from current
as $$
declare
  v_charge charge;
  v_units integer := 0;
begin
  foreach v_charge in array p_charges loop
    v_units := v_units + v_charge.units;
  end loop;
  return v_units;
end;
$$;

comment on function units_of(charge[]) is 'Sum of the units of charges.';
