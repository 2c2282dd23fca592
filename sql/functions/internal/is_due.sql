create function is_due(p_reservation reservation)
returns boolean
language sql
volatile
return case (p_reservation).upload_status
  when 'scheduled' then (p_reservation).upload_time <= clock_now()
  when 'uploading' then (p_reservation).lease_expires_at <= clock_now()
  else false
end;

comment on function is_due(reservation) is
  'Whether an upload may be claimed: its time has come, or its lease has run out.';
