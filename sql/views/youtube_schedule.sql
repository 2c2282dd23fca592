-- LangFlix's table youtube_schedule, for its own queries: channel default, read
-- only. Live bookings come first, then the latest, since LangFlix takes the
-- first row of a video.
--
-- The id is the one that LangFlix knows, for what was imported from it. For
-- other bookings it is made from the reservation_id, of 63 bits: the upper 15
-- in the first group, the lower 48 in the last, as
-- uuuuuuuu-0000-4000-8000-llllllllllll in hexadecimal.
create view youtube_schedule as
select
  coalesce(
    i.source_id,
    lpad(to_hex(r.reservation_id >> 48), 8, '0') || '-0000-4000-8000-'
      || lpad(to_hex(r.reservation_id & 281474976710655), 12, '0')
  )::uuid as id,
  r.video_path,
  r.video_type,
  r.scheduled_publish_time,
  case r.upload_status when 'cancelled' then 'failed' else r.upload_status end as upload_status,
  r.youtube_video_id,
  case r.upload_status
    when 'cancelled' then coalesce(r.error_message, 'Cancelled by user')
    else r.error_message
  end as error_message,
  null::uuid as account_id,
  r.created_at,
  greatest(r.created_at, r.charged_at) as updated_at,
  r.reservation_id
from reservation as r
left join imported_reservation as i on i.reservation_id = r.reservation_id
where r.channel_id = 'default'
order by
  r.upload_status in ('scheduled', 'uploading', 'completed') desc,
  r.created_at desc,
  r.reservation_id desc;

comment on view youtube_schedule is
  'The bookings of channel default in the columns of LangFlix''s table of that name; read only.';
comment on column youtube_schedule.id is
  'The id that LangFlix knows, or one made from the reservation_id.';
comment on column youtube_schedule.video_path is 'The video.';
comment on column youtube_schedule.video_type is 'The video type.';
comment on column youtube_schedule.scheduled_publish_time is 'When it is to be published.';
comment on column youtube_schedule.upload_status is
  'scheduled, uploading, completed or failed; what is cancelled is failed, as in LangFlix.';
comment on column youtube_schedule.youtube_video_id is 'The id that YouTube gave to it.';
comment on column youtube_schedule.error_message is
  'Why the upload failed; Cancelled by user, if it was cancelled.';
comment on column youtube_schedule.account_id is 'Always null: a channel is an account.';
comment on column youtube_schedule.created_at is
  'When the slot was booked; for what was imported, when LangFlix booked it.';
comment on column youtube_schedule.updated_at is
  'When it was last booked or moved; changes of its status are not dated.';
comment on column youtube_schedule.reservation_id is
  'The reservation, as slotwarden''s own functions know it.';
