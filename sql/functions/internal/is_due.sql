create function is_due(p_reservation reservation, p_now timestamptz)
returns boolean
language sql
immutable
return case (p_reservation).upload_status
  when 'scheduled' then (p_reservation).upload_time <= p_now
  -- Without a lease there is nothing to run out.
  when 'uploading' then coalesce((p_reservation).lease_expires_at <= p_now, false)
  else false
end;

comment on function is_due(reservation, timestamptz) is
  'Whether an upload may be claimed: its time has come, or its lease has run out.';
