create function horizon_refusal(p_from date, p_horizon_days integer)
returns refusal
language sql
immutable
return case
  when not isfinite(p_from) or p_from < '0001-01-03' or p_from > '9998-12-29'
    then invalid_argument('p_from', 'a day lies between 0001-01-03 and 9998-12-29')
  when p_horizon_days is null or p_horizon_days not between 1 and 366
    then invalid_argument('p_horizon_days', 'a horizon has 1 to 366 days')
end;

comment on function horizon_refusal(date, integer) is
  'SWARG, if one cannot look for slots there; else null.';
