create function max_units_refusal(p_max integer)
returns refusal
language sql
immutable
return case
  when p_max < 0 or p_max > 1000000000
    then invalid_argument('p_max', 'a maximum lies between 0 and 1,000,000,000 units')
end;

comment on function max_units_refusal(integer) is
  'SWARG, if this cannot be a maximum; else null.';
