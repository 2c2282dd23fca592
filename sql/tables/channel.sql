-- A YouTube channel: whose wall clock its bookings are read on, and how far
-- ahead of the publish time its uploads run.
create table channel (
  channel_id text not null,
  time_zone text not null,
  upload_lead interval not null default '0',
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint channel_pkey primary key (channel_id),
  constraint channel_id_valid
    check (channel_id <> '' and octet_length(channel_id) <= 400),
  constraint channel_upload_lead_valid
    check (upload_lead between interval '0' and interval '366 days')
);

comment on table channel is
  'A YouTube channel that books publish slots.';
comment on column channel.channel_id is
  'Name of the channel, as people write it; at most 400 bytes.';
comment on column channel.time_zone is
  'IANA zone (pg_timezone_names) on whose wall clock p_date and p_time are read.';
comment on column channel.upload_lead is
  'How long before the publish time the upload runs (YouTube''s publishAt); a day counts as 24 hours.';
comment on column channel.created_at is 'When the channel was created.';
comment on column channel.created_by is 'Role that created the channel.';
comment on constraint channel_pkey on channel is 'One row a channel.';
comment on constraint channel_id_valid on channel is
  'A name that fits into the index keys that carry it.';
comment on constraint channel_upload_lead_valid on channel is
  'Uploads run at the publish time or before it, by a year at most.';
