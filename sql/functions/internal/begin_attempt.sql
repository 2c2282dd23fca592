create function begin_attempt(p_reservation reservation, p_lease interval)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_now timestamptz := clock_now();
  v_reservation reservation;
begin
  update reservation as r
  set
    upload_status = 'uploading',
    attempt = r.attempt + case r.upload_status when 'uploading' then 1 else 0 end,
    upload_time = v_now,
    lease_token = gen_random_uuid(),
    lease_expires_at = v_now + make_interval(secs => extract(epoch from p_lease)::float8),
    error_message = null
  where r.reservation_id = p_reservation.reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function begin_attempt(reservation, interval) is
  'Sets a locked reservation uploading, with a new token and lease.';
