create function day_refusal(p_parameter text, p_day date)
returns refusal
language sql
immutable
return case
  when p_day is null or not isfinite(p_day) or p_day < '0001-01-03' or p_day > '9999-12-29'
    then invalid_argument(p_parameter, 'a day lies between 0001-01-03 and 9999-12-29')
end;

comment on function day_refusal(text, date) is
  'SWARG, if this is no day that can be counted on; else null.';
