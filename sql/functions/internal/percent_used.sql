create function percent_used(p_used_units integer, p_max_units integer)
returns numeric
language sql
immutable
return round(
  case when p_max_units > 0 then 100.0 * p_used_units / p_max_units else 100 end, 1
);

comment on function percent_used(integer, integer) is
  'Share of a maximum in percent; a maximum of 0 is used up.';
