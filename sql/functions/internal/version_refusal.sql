create function version_refusal(p_reservation reservation, p_expected_version integer)
returns refusal
language sql
immutable
return case
  when p_reservation.version <> p_expected_version then row(
    'SWVER',
    format('reservation %s was changed: version %s is not current, %s is',
      p_reservation.reservation_id, p_expected_version, p_reservation.version),
    jsonb_build_object(
      'reservation_id', p_reservation.reservation_id,
      'version', p_reservation.version,
      'expected_version', p_expected_version
    )
  )::refusal
end;

comment on function version_refusal(reservation, integer) is
  'SWVER, if the caller has seen another version; else null.';
