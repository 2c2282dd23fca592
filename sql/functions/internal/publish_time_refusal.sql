-- An instant that can be a slot: finite, a whole minute, within the years that
-- the calendar of every zone writes with four digits.
create function publish_time_refusal(p_publish_time timestamptz)
returns refusal
language sql
stable
return case
  when p_publish_time is null
    then invalid_argument('p_publish_time', 'a publish time is needed')
  when not isfinite(p_publish_time)
    or p_publish_time < '0001-01-02 00:00+00' or p_publish_time >= '9999-12-31 00:00+00'
    then invalid_argument('p_publish_time', 'a publish time lies between 0001-01-02 and 9999-12-30, UTC')
  when mod(extract(epoch from p_publish_time), 60) <> 0
    then invalid_argument('p_publish_time', 'a publish time is a whole minute')
end;

comment on function publish_time_refusal(timestamptz) is
  'SWARG, if the instant cannot be a slot; else null.';
