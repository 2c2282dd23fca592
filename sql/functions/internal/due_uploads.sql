create function due_uploads(
  p_channel text,
  p_now timestamptz,
  p_after reservation,
  p_count integer
)
returns reservation[]
language plpgsql
volatile
set search_path from current
as $$
begin
  return array(
    select r
    from reservation as r
    where r.upload_status in ('scheduled', 'uploading')
      and r.upload_time <= p_now
      and (r.upload_status = 'scheduled' or r.lease_expires_at <= p_now)
      and (p_channel is null or r.channel_id = p_channel)
      and (r.upload_time, r.reservation_id)
        > (coalesce(p_after.upload_time, '-infinity'), coalesce(p_after.reservation_id, 0))
    order by r.upload_time, r.reservation_id
    limit p_count
  );
end;
$$;

comment on function due_uploads(text, timestamptz, reservation, integer) is
  'The next uploads that are due at a moment, by upload time, after one of them; null: from the first.';
