create function due_uploads(p_channel text, p_seen bigint[], p_count integer)
returns bigint[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_now timestamptz := clock_now();
begin
  return array(
    select r.reservation_id
    from reservation as r
    where r.upload_status in ('scheduled', 'uploading')
      and r.upload_time <= v_now
      and (r.upload_status = 'scheduled' or r.lease_expires_at <= v_now)
      and (p_channel is null or r.channel_id = p_channel)
      and r.reservation_id <> all (p_seen)
    order by r.upload_time, r.reservation_id
    limit p_count
  );
end;
$$;

comment on function due_uploads(text, bigint[], integer) is
  'The next uploads that are due, by upload time, but for those already seen.';
