-- Locks a reservation for a change: first the days whose units it holds and
-- those that it is about to charge, then its row, as the order of locks wants.
-- One that was moved to other days meanwhile would have to be locked against
-- that order, so the call gives way instead; unless it was this very call that
-- moved it, under the same key.
create function lock_reservation(
  p_reservation reservation,
  p_charges charge[],
  p_deadline timestamptz,
  p_request_key text default null
)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_locked charge[] := sorted_charges(p_charges || array(
    select h from charges_held(p_reservation.reservation_id, p_reservation.attempt) as h
  ));
  v_reservation reservation;
begin
  perform lock_days(v_locked, p_deadline);
  perform bound_lock_wait(p_deadline);
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation.reservation_id
  for update;
  if not found then
    return require_reservation(p_reservation.reservation_id);
  end if;
  if v_reservation.version <> p_reservation.version
    and exists (
      select from charges_held(v_reservation.reservation_id, v_reservation.attempt) as h
      where not exists (
        select from unnest(v_locked) as l where l.limit_id = h.limit_id and l.day = h.day
      )
    )
    and not exists (select from request as q where q.request_key = p_request_key)
  then
    raise exception 'reservation % was moved meanwhile', v_reservation.reservation_id
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again.';
  end if;
  return v_reservation;
end;
$$;

comment on function lock_reservation(reservation, charge[], timestamptz, text) is
  'Locks the days of a reservation and its row, and returns it as it is now; SWNFD, 55P03, 40001.';
