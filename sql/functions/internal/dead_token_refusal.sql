create function dead_token_refusal(p_reservation reservation, p_token uuid)
returns refusal
language sql
immutable
return case
  when (p_reservation).lease_token is distinct from p_token then row(
    'SWSTA',
    format('the token is not that of attempt %s of reservation %s: another worker has the upload',
      (p_reservation).attempt, (p_reservation).reservation_id),
    jsonb_build_object(
      'reservation_id', (p_reservation).reservation_id,
      'status', (p_reservation).upload_status,
      'attempt', (p_reservation).attempt
    )
  )::refusal
end;

comment on function dead_token_refusal(reservation, uuid) is
  'SWSTA, if a worker has lost its lease to another; else null.';
