create function is_settled(p_booking booking)
returns boolean
language sql
immutable
return ((p_booking).refusal).code is not null
  or ((p_booking).reservation).reservation_id is not null;

comment on function is_settled(booking) is
  'Whether a wish to book has come to a refusal or a reservation.';
