create function units_of(p_charges charge[])
returns integer
language plpgsql
immutable
set search_path from current
as $$
declare
  v_charge charge;
  v_units bigint := 0;
begin
  foreach v_charge in array p_charges loop
    v_units := v_units + v_charge.units;
  end loop;
  if v_units > 2147483647 then
    perform raise_refusal(
      invalid_argument('p_type', 'its rules take more units than can be counted')
    );
  end if;
  return v_units;
end;
$$;

comment on function units_of(charge[]) is
  'Sum of the units of charges; SWARG, if they are more than can be counted.';
