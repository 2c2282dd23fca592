-- A date and a time that can be a slot on some wall clock.
create function local_time_refusal(p_date date, p_time time)
returns refusal
language sql
immutable
return case
  when p_date is null then invalid_argument('p_date', 'a date is needed')
  when (day_refusal('p_date', p_date)).code is not null then day_refusal('p_date', p_date)
  when p_time is null then invalid_argument('p_time', 'a time is needed')
  when p_time = '24:00'
    then invalid_argument('p_time', 'a time lies between 00:00 and 23:59; 24:00 is 00:00 of the next day')
  when extract(second from p_time) <> 0
    then invalid_argument('p_time', 'a time is a whole minute')
end;

comment on function local_time_refusal(date, time) is
  'SWARG, if the date and time cannot be a slot; else null.';
