create function move_step(
  p_refusal refusal,
  p_reservation_id bigint,
  p_date date,
  p_time time
)
returns text
language sql
stable
begin atomic
  select next_step(
    (p_refusal).code,
    r.channel_id,
    r.video_type,
    -- A day that was refused may be past all instants.
    case when (p_refusal).code <> 'SWARG' then (p_date + p_time) at time zone c.time_zone end
  )
  from reservation as r
  join channel as c on c.channel_id = r.channel_id
  where r.reservation_id = p_reservation_id;
end;

comment on function move_step(refusal, bigint, date, time) is
  'What to do after a move was refused, for its HINT.';
