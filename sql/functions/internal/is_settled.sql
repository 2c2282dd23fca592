create function is_settled(p_booking booking)
returns boolean
language plpgsql
immutable
set search_path from current
as $$
begin
  return (p_booking.refusal).code is not null
    or (p_booking.reservation).reservation_id is not null;
end;
$$;

comment on function is_settled(booking) is
  'Whether a wish to book has come to a refusal or a reservation.';
