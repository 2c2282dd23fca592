-- What beginning an upload now would charge: nothing within its day; a move of
-- the upload's units, if it was planned for another; a new attempt, if the
-- lease of the last one has run out.
create function start_charges(p_reservation reservation)
returns charge[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_started reservation := p_reservation;
begin
  v_started.upload_time := clock_now();
  if p_reservation.upload_status = 'uploading' then
    v_started.attempt := p_reservation.attempt + 1;
  end if;
  v_started.upload_status := 'uploading';
  return reservation_charges(p_reservation, v_started);
end;
$$;

comment on function start_charges(reservation) is
  'The net charges of beginning an upload now, ordered by day and limit.';
