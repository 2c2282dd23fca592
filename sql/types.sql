-- What the private functions hand to one another.
create type charge as (
  limit_id text,
  counted_at text,
  day date,
  units integer
);

comment on type charge is
  'Units to take from (or, negative, give back to) one day of a limit.';
comment on column charge.limit_id is 'The limit.';
comment on column charge.counted_at is
  'publish: the units belong to the slot; upload: to an attempt to upload.';
comment on column charge.day is 'Day in the limit''s zone.';
comment on column charge.units is 'Units, signed.';

create type refusal as (
  code text,
  message text,
  detail jsonb
);

comment on type refusal is
  'An error of the API before it is raised; null: nothing speaks against it.';
comment on column refusal.code is 'SQLSTATE.';
comment on column refusal.message is 'For a person.';
comment on column refusal.detail is 'For a program.';

create type usage_change as (
  reservation_id bigint,
  limit_id text,
  day date,
  action text,
  units_before integer,
  units_after integer,
  detail text
);

comment on type usage_change is 'What recalculate_usage changed.';
comment on column usage_change.reservation_id is
  'The reservation; null: the day''s balance.';
comment on column usage_change.limit_id is 'The limit.';
comment on column usage_change.day is 'Day in the limit''s zone.';
comment on column usage_change.action is
  'charge, release, recount or refused.';
comment on column usage_change.units_before is
  'What the reservation held, or the balance was.';
comment on column usage_change.units_after is
  'What it holds, or the balance is, afterwards.';
comment on column usage_change.detail is 'Why, for a person.';

create type booking as (
  refusal refusal,
  reservation reservation
);

comment on type booking is
  'What came of a wish to book: a refusal, or else the reservation.';
comment on column booking.refusal is 'Why it was refused; null: it was not.';
comment on column booking.reservation is 'The reservation.';

create type booking_wish as (
  item integer,
  channel_id text,
  video_type text,
  video_path text,
  request_key text,
  arguments jsonb,
  local_time timestamp,
  publish_time timestamptz,
  refusal refusal
);

comment on type booking_wish is 'One item of a batch, as reserve_slots read it.';
comment on column booking_wish.item is 'Its place in the batch, from 1.';
comment on column booking_wish.channel_id is 'The channel.';
comment on column booking_wish.video_type is 'The video type.';
comment on column booking_wish.video_path is 'The video.';
comment on column booking_wish.request_key is 'Its key.';
comment on column booking_wish.arguments is 'What it asks for, in one form.';
comment on column booking_wish.local_time is
  'The local time that it asked for; null: it asked for an instant.';
comment on column booking_wish.publish_time is 'The instant that this means.';
comment on column booking_wish.refusal is 'What is wrong with the item; null: nothing.';
