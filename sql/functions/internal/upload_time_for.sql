-- When the upload of a booking runs. The lead is taken in seconds, since an
-- interval's days would follow the session's zone. What is published in the
-- past (history) was uploaded by then.
create function upload_time_for(
  p_publish_time timestamptz,
  p_upload_lead interval,
  p_now timestamptz
)
returns timestamptz
language sql
stable
return least(
  p_publish_time,
  greatest(
    p_publish_time - make_interval(secs => extract(epoch from p_upload_lead)::float8),
    p_now
  )
);

comment on function upload_time_for(timestamptz, interval, timestamptz) is
  'The publish time less the lead, never before now; for the past, the publish time.';
