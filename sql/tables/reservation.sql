-- A video's booking of a slot. The unique indexes hold whoever writes; the
-- triggers in triggers/reservation.sql charge and release its units.
create sequence reservation_id_seq as bigint;

create table reservation (
  reservation_id bigint not null default nextval('reservation_id_seq'),
  channel_id text not null,
  video_type text not null,
  video_path text,
  scheduled_publish_time timestamptz not null,
  upload_time timestamptz not null,
  local_date date not null,
  time_zone text not null,
  upload_status text not null default 'scheduled',
  attempt integer not null default 1,
  held_units integer not null,
  lease_token uuid,
  lease_expires_at timestamptz,
  youtube_video_id text,
  error_message text,
  version integer not null default 1,
  charged_at timestamptz not null default clock_now(),
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint reservation_pkey primary key (reservation_id),
  constraint reservation_video_type_fkey
    foreign key (channel_id, video_type)
    references video_type (channel_id, video_type),
  constraint reservation_upload_status_valid
    check (upload_status in
      ('scheduled', 'uploading', 'completed', 'failed', 'cancelled')),
  constraint reservation_whole_minute
    check (mod(extract(epoch from scheduled_publish_time), 60) = 0),
  constraint reservation_publish_time_valid
    check (scheduled_publish_time >= '0001-01-02 00:00+00'
      and scheduled_publish_time < '9999-12-31 00:00+00'),
  constraint reservation_video_path_valid
    check (video_path <> '' and octet_length(video_path) <= 2000),
  constraint reservation_instants_finite
    check (isfinite(upload_time) and isfinite(charged_at) and isfinite(created_at)
      and lease_expires_at < 'infinity'),
  constraint reservation_attempt_valid check (attempt >= 1),
  constraint reservation_held_units_valid
    check (held_units >= 0 and (upload_status <> 'cancelled' or held_units = 0)),
  constraint reservation_version_valid check (version >= 1),
  constraint reservation_lease_valid
    check (lease_expires_at is null or lease_token is not null)
);

alter sequence reservation_id_seq owned by reservation.reservation_id;

create unique index reservation_slot_key
  on reservation (channel_id, scheduled_publish_time)
  where upload_status in ('scheduled', 'uploading', 'completed');

create unique index reservation_video_key
  on reservation (channel_id, video_path)
  where upload_status in ('scheduled', 'uploading', 'completed')
    and video_path is not null;

create index reservation_failed_idx
  on reservation (channel_id, scheduled_publish_time)
  where upload_status = 'failed';

create index reservation_due_idx
  on reservation (upload_time)
  where upload_status in ('scheduled', 'uploading');

comment on sequence reservation_id_seq is
  'Numbers reservations: neither dense nor in order of time.';
comment on table reservation is 'A video''s booking of a publish slot.';
comment on column reservation.reservation_id is
  'Key of the reservation; neither dense nor in order of time.';
comment on column reservation.channel_id is 'The channel that publishes.';
comment on column reservation.video_type is 'The video type, whose rules are charged.';
comment on column reservation.video_path is
  'The video, as its application names it (a path or an id); null: not known yet.';
comment on column reservation.scheduled_publish_time is
  'When the video is to be published: an instant, a whole minute.';
comment on column reservation.upload_time is
  'When the upload runs: the publish time less the channel''s lead, never before the booking; once started, when it started.';
comment on column reservation.local_date is
  'Day of the publish time on the channel''s wall clock.';
comment on column reservation.time_zone is
  'The channel''s zone when local_date was taken.';
comment on column reservation.upload_status is
  'scheduled, uploading, completed, failed or cancelled; the first three hold the slot.';
comment on column reservation.attempt is
  'Number of the upload attempt, from 1; each attempt is charged.';
comment on column reservation.held_units is
  'Sum of the units, over all limits, that it holds for its slot and its attempt; usage_drift compares it with the ledger.';
comment on column reservation.lease_token is
  'Fencing token of the worker that may finish the upload.';
comment on column reservation.lease_expires_at is
  'Until when the worker holds the upload; null: no end.';
comment on column reservation.youtube_video_id is
  'The id that YouTube gave to the uploaded video.';
comment on column reservation.error_message is 'Why the last upload failed.';
comment on column reservation.version is
  'Grows by one with each change; for optimistic locking.';
comment on column reservation.charged_at is
  'When the rules were last applied to the reservation; setting it applies today''s rules.';
comment on column reservation.created_at is 'When the slot was booked.';
comment on column reservation.created_by is 'Role that booked the slot.';
comment on constraint reservation_pkey on reservation is 'One row a booking.';
comment on constraint reservation_video_type_fkey on reservation is
  'A booking is of a type that its channel defines.';
comment on constraint reservation_upload_status_valid on reservation is
  'The states of the life of a reservation.';
comment on constraint reservation_whole_minute on reservation is
  'Slots are whole minutes, so that equal slots are equal values.';
comment on constraint reservation_publish_time_valid on reservation is
  'Finite, and a year of four digits in every zone.';
comment on constraint reservation_video_path_valid on reservation is
  'A name that fits into the index key.';
comment on constraint reservation_instants_finite on reservation is
  'What has happened, or is planned, has a date.';
comment on constraint reservation_held_units_valid on reservation is
  'What is cancelled holds nothing.';
comment on constraint reservation_attempt_valid on reservation is
  'Attempts are counted from 1.';
comment on constraint reservation_version_valid on reservation is
  'Versions are counted from 1.';
comment on constraint reservation_lease_valid on reservation is
  'A lease that ends belongs to a token.';
comment on index reservation_slot_key is
  'No two live bookings of a channel share a publish time.';
comment on index reservation_video_key is
  'A video has one live booking on a channel.';
comment on index reservation_failed_idx is
  'Finds what a calendar shows beside the live bookings.';
comment on index reservation_due_idx is 'Finds uploads that are due.';
