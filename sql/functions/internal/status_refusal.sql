create function status_refusal(p_reservation reservation, p_needed text, p_wanted text)
returns refusal
language sql
immutable
return case
  when p_reservation.upload_status <> p_needed then row(
    'SWSTA',
    format('reservation %s is %s: only one that is %s can become %s',
      p_reservation.reservation_id, p_reservation.upload_status, p_needed, p_wanted),
    jsonb_build_object(
      'reservation_id', p_reservation.reservation_id,
      'status', p_reservation.upload_status,
      'wanted', p_wanted
    )
  )::refusal
end;

comment on function status_refusal(reservation, text, text) is
  'SWSTA, if the reservation is not in the status that a change needs; else null.';
