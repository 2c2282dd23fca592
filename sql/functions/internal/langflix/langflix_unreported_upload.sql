-- Which booking an application means when it reports an upload and its type
-- only: one that has paid for the upload, that no report was matched with, and
-- that has to do with the day: it is uploaded, published or was made on it. The
-- application counts days in its own zone and the quota in YouTube's, hence a
-- day more or less. What was imported as completed (it never had a token) was
-- reported to whatever uploaded it.
create function langflix_unreported_upload(p_channel text, p_type text, p_limit text, p_day date)
returns text
language plpgsql
stable
set search_path from current
as $$
begin
  return (
    select paying.note
    from (
      select
        format('upload of reservation %s, attempt %s', r.reservation_id, r.attempt) as note,
        r.reservation_id, r.attempt, r.upload_status, r.upload_time
      from reservation as r
      where r.channel_id = p_channel
        and r.video_type = p_type
        and r.upload_status in ('scheduled', 'uploading', 'completed')
        and (r.upload_status <> 'completed' or r.lease_token is not null)
        and least(
          abs(r.local_date - p_day),
          abs((r.upload_time at time zone 'UTC')::date - p_day),
          abs((r.created_at at time zone 'UTC')::date - p_day)
        ) <= 1
    ) as paying
    where exists (
      select from charges_held(paying.reservation_id, paying.attempt) as h
      where h.counted_at = 'upload' and h.limit_id = p_limit and h.units > 0
    )
      and not exists (
        select from external_usage as e
        where e.limit_id = p_limit and e.note = paying.note
      )
    order by
      paying.upload_status = 'completed' desc,
      paying.upload_status = 'uploading' desc,
      paying.upload_time,
      paying.reservation_id
    limit 1
  );
end;
$$;

comment on function langflix_unreported_upload(text, text, text, date) is
  'Names the booking that has paid for an upload that is reported for a day; null: none has.';
