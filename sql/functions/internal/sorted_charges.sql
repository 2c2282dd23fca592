create function sorted_charges(p_charges charge[])
returns charge[]
language sql
immutable
begin atomic
  select array(
    select c from unnest(p_charges) as c order by c.day, c.limit_id
  );
end;

comment on function sorted_charges(charge[]) is
  'Charges in the order of the locks: by day and limit.';
