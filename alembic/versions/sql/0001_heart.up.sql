-- Frozen: what sql/ held when this revision was made.

-- The clock of slotwarden: the present instant, not the transaction's start.
-- Everything that asks for the time asks here, and asks after it has the lock.
create function clock_now()
returns timestamptz
language sql
volatile
return clock_timestamp();

comment on function clock_now() is
  'The present instant, by the server''s clock.';

-- Who is writing. Inside a security definer function current_user is the
-- owner, but the role that the caller has set stays visible in the setting.
create function caller_role()
returns text
language sql
stable
return case current_setting('role')
  when 'none' then session_user::text
  else current_setting('role')
end;

comment on function caller_role() is
  'The role set by the caller, else the session user.';

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

-- The local times at which a channel likes to publish; reserve_next_slot tries
-- them before any other hour of the day.
create table posting_time (
  channel_id text not null,
  local_time time not null,
  iso_weekday smallint,
  constraint posting_time_key
    unique nulls not distinct (channel_id, local_time, iso_weekday),
  constraint posting_time_channel_fkey
    foreign key (channel_id) references channel (channel_id)
    on delete cascade,
  constraint posting_time_whole_minute
    check (extract(second from local_time) = 0 and local_time < '24:00'),
  constraint posting_time_weekday_valid
    check (iso_weekday between 1 and 7)
);

comment on table posting_time is
  'Preferred local publish times of a channel.';
comment on column posting_time.channel_id is 'The channel.';
comment on column posting_time.local_time is
  'Time of day on the channel''s wall clock, a whole minute.';
comment on column posting_time.iso_weekday is
  '1 (Monday) to 7 (Sunday), as in extract(isodow); null: every day.';
comment on constraint posting_time_key on posting_time is
  'A time is listed once a channel and weekday.';
comment on constraint posting_time_channel_fkey on posting_time is
  'Posting times belong to a channel and go with it.';
comment on constraint posting_time_whole_minute on posting_time is
  'Slots are whole minutes; 24:00 is the next day''s 00:00.';
comment on constraint posting_time_weekday_valid on posting_time is
  'Weekdays are numbered as in ISO 8601.';

-- The kinds of video that a channel publishes: data, not code.
create table video_type (
  channel_id text not null,
  video_type text not null,
  constraint video_type_pkey primary key (channel_id, video_type),
  constraint video_type_channel_fkey
    foreign key (channel_id) references channel (channel_id),
  constraint video_type_valid
    check (video_type <> '' and octet_length(video_type) <= 100)
);

comment on table video_type is 'The video types that a channel publishes.';
comment on column video_type.channel_id is 'The channel.';
comment on column video_type.video_type is
  'Name of the type, such as final or short; at most 100 bytes.';
comment on constraint video_type_pkey on video_type is
  'A channel defines a type once.';
comment on constraint video_type_channel_fkey on video_type is
  'Types belong to a channel.';
comment on constraint video_type_valid on video_type is
  'A name that fits into the index keys that carry it.';

-- A named maximum of units a day. Every kind of limit is a row here: posting
-- limits, API units, buckets of uploads, pools that several channels share.
create table daily_limit (
  limit_id text not null,
  max_units integer not null,
  time_zone text,
  counted_at text not null,
  warn_percent smallint not null default 80,
  constraint daily_limit_pkey primary key (limit_id),
  constraint daily_limit_id_valid
    check (limit_id <> '' and octet_length(limit_id) <= 600),
  constraint daily_limit_max_units_valid
    check (max_units between 0 and 1000000000),
  constraint daily_limit_counted_at_valid
    check (counted_at in ('publish', 'upload')),
  constraint daily_limit_warn_percent_valid
    check (warn_percent between 0 and 100)
);

comment on table daily_limit is 'A named maximum of units a day.';
comment on column daily_limit.limit_id is
  'Name of the limit; limits that create_channel makes are named channel/limit.';
comment on column daily_limit.max_units is
  'Units a day, unless limit_day overrides the day. 10,000 is YouTube''s default quota (https://developers.google.com/youtube/v3/getting-started#quota).';
comment on column daily_limit.time_zone is
  'IANA zone in which the limit''s day begins and ends; null: the charging channel''s.';
comment on column daily_limit.counted_at is
  'publish: counts on the day of the publish time; upload: on the day of the moment the upload runs.';
comment on column daily_limit.warn_percent is
  'Share of the maximum, in percent, from which quota_warnings speaks.';
comment on constraint daily_limit_pkey on daily_limit is 'One row a limit.';
comment on constraint daily_limit_id_valid on daily_limit is
  'A name that fits into the index keys that carry it.';
comment on constraint daily_limit_max_units_valid on daily_limit is
  '0 closes the day; the upper bound keeps sums inside an integer.';
comment on constraint daily_limit_counted_at_valid on daily_limit is
  'The two days that a booking has: of its publishing and of its upload.';
comment on constraint daily_limit_warn_percent_valid on daily_limit is
  'A share in percent.';

-- What one upload of a type on a channel takes from a limit.
create table charge_rule (
  channel_id text not null,
  video_type text not null,
  limit_id text not null,
  units integer not null,
  constraint charge_rule_pkey primary key (channel_id, video_type, limit_id),
  constraint charge_rule_video_type_fkey
    foreign key (channel_id, video_type)
    references video_type (channel_id, video_type),
  constraint charge_rule_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint charge_rule_units_valid check (units between 1 and 1000000000)
);

create index charge_rule_limit_idx on charge_rule (limit_id);

comment on table charge_rule is
  'What one upload of a video type on a channel takes from a limit.';
comment on column charge_rule.channel_id is 'The channel.';
comment on column charge_rule.video_type is 'The video type.';
comment on column charge_rule.limit_id is 'The limit that is charged.';
comment on column charge_rule.units is
  'Units an upload takes. 1,600 is the cost of videos.insert in YouTube''s quota table of 10,000 units (https://developers.google.com/youtube/v3/determine_quota_cost).';
comment on constraint charge_rule_pkey on charge_rule is
  'A type charges a limit by one rule.';
comment on constraint charge_rule_video_type_fkey on charge_rule is
  'A rule is for a type that the channel defines.';
comment on constraint charge_rule_limit_fkey on charge_rule is
  'A rule charges a limit that exists.';
comment on constraint charge_rule_units_valid on charge_rule is
  'No rule, rather than a rule of 0 units, charges nothing.';
comment on index charge_rule_limit_idx is
  'Finds the channels that share a limit.';

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

-- The maximum in force on one day, and the lock of that day. Bookings create
-- and lock the row, and never update it: waiters on a row that each winner
-- updates would lose their place in the queue.
create table limit_day (
  limit_id text not null,
  day date not null,
  max_units integer not null,
  overridden boolean not null default false,
  constraint limit_day_pkey primary key (limit_id, day),
  constraint limit_day_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint limit_day_max_units_valid
    check (max_units between 0 and 1000000000)
);

comment on table limit_day is
  'The maximum in force on one day of a limit; its row is the lock of that day.';
comment on column limit_day.limit_id is 'The limit.';
comment on column limit_day.day is 'Day in the limit''s zone.';
comment on column limit_day.max_units is 'Maximum of units on that day.';
comment on column limit_day.overridden is
  'true: set for this day by override_day; false: follows daily_limit.';
comment on constraint limit_day_pkey on limit_day is
  'One row, so one lock, for each limit and day.';
comment on constraint limit_day_limit_fkey on limit_day is
  'A day belongs to a limit that exists.';
comment on constraint limit_day_max_units_valid on limit_day is
  '0 closes the day; the upper bound keeps sums inside an integer.';

-- Every change of a usage, with its version and the balance after it. Written
-- by triggers only; never updated, never deleted.
create table usage_ledger (
  limit_id text not null,
  day date not null,
  version integer not null,
  reservation_id bigint,
  attempt integer,
  units integer not null,
  used_units integer not null,
  max_units integer not null,
  reason text not null,
  at timestamptz not null,
  by text not null,
  constraint usage_ledger_pkey primary key (limit_id, day, version),
  constraint usage_ledger_version_valid check (version >= 1),
  constraint usage_ledger_used_units_valid check (used_units >= 0),
  constraint usage_ledger_within_maximum
    check (units <= 0 or used_units <= max_units),
  constraint usage_ledger_reason_valid
    check (reason in ('reserve', 'reschedule', 'cancel', 'start', 'claim',
      'fail', 'retry', 'maximum', 'recalculate', 'delete', 'external'))
);

create index usage_ledger_reservation_idx
  on usage_ledger (reservation_id)
  where reservation_id is not null;

comment on table usage_ledger is
  'Append-only account of every change of a usage.';
comment on column usage_ledger.limit_id is 'The limit.';
comment on column usage_ledger.day is 'Day in the limit''s zone.';
comment on column usage_ledger.version is
  'Number of the change within the limit''s day: 1, 2, 3, ... without a gap.';
comment on column usage_ledger.reservation_id is
  'The reservation that took or gave back the units; null: the maximum changed.';
comment on column usage_ledger.attempt is
  'The upload attempt that the units pay for; null: they belong to the slot, whatever the attempt.';
comment on column usage_ledger.units is
  'Positive: taken; negative: given back; 0: the maximum changed, or a recount.';
comment on column usage_ledger.used_units is 'Balance after the change.';
comment on column usage_ledger.max_units is
  'Maximum in force at the change.';
comment on column usage_ledger.reason is 'What changed the usage.';
comment on column usage_ledger.at is
  'When, by the server''s clock, read with the day''s lock held.';
comment on column usage_ledger.by is 'Role that made the change.';
comment on constraint usage_ledger_pkey on usage_ledger is
  'Two writers cannot both write the next version: a lost update is impossible.';
comment on constraint usage_ledger_version_valid on usage_ledger is
  'Versions are counted from 1.';
comment on constraint usage_ledger_used_units_valid on usage_ledger is
  'Nothing can be given back that was not taken.';
comment on constraint usage_ledger_within_maximum on usage_ledger is
  'The invariant: used never grows past the maximum.';
comment on constraint usage_ledger_reason_valid on usage_ledger is
  'The changes that a reservation or a maximum can go through.';
comment on index usage_ledger_reservation_idx is
  'Finds what a reservation holds.';

-- Keys of calls that were carried out, so that a repeated call books nothing
-- twice. A refusal is not remembered.
create table request (
  request_key text not null,
  function text not null,
  arguments jsonb not null,
  reservation_id bigint,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint request_pkey primary key (request_key),
  constraint request_key_valid
    check (request_key <> '' and octet_length(request_key) <= 200),
  constraint request_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete set null deferrable initially deferred
);

create index request_reservation_idx on request (reservation_id);

comment on table request is
  'Keys of calls that were carried out (idempotency).';
comment on column request.request_key is
  'The caller''s key, unique in the workspace; at most 200 bytes.';
comment on column request.function is 'The function that was called.';
comment on column request.arguments is 'Its arguments, as the caller gave them.';
comment on column request.reservation_id is
  'The reservation that the call returned; null: deleted since.';
comment on column request.created_at is 'When the call was carried out.';
comment on column request.created_by is 'Role that called.';
comment on constraint request_pkey on request is 'A key stands for one call.';
comment on constraint request_key_valid on request is
  'A key that fits into the index.';
comment on constraint request_reservation_fkey on request is
  'The reservation that the key leads to; checked at commit, since the key is taken first.';
comment on index request_reservation_idx is
  'Finds the keys of a reservation that is deleted.';

-- Spans of time in which a channel publishes nothing.
create sequence blackout_id_seq as bigint;

create table blackout (
  blackout_id bigint not null default nextval('blackout_id_seq'),
  channel_id text not null,
  from_time timestamptz not null,
  to_time timestamptz not null,
  reason text not null,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint blackout_pkey primary key (blackout_id),
  constraint blackout_channel_fkey
    foreign key (channel_id) references channel (channel_id)
    on delete cascade,
  constraint blackout_span_valid check (from_time < to_time),
  constraint blackout_reason_valid
    check (reason <> '' and octet_length(reason) <= 2000)
);

alter sequence blackout_id_seq owned by blackout.blackout_id;

create index blackout_channel_idx on blackout (channel_id, to_time);

comment on sequence blackout_id_seq is 'Numbers blackouts.';
comment on table blackout is
  'Spans of time in which a channel publishes nothing.';
comment on column blackout.blackout_id is 'Key of the blackout.';
comment on column blackout.channel_id is 'The channel.';
comment on column blackout.from_time is 'First instant that is blacked out.';
comment on column blackout.to_time is
  'First instant that is free again; may be infinity.';
comment on column blackout.reason is 'Why, for the people who are refused.';
comment on column blackout.created_at is 'When the blackout was added.';
comment on column blackout.created_by is 'Role that added it.';
comment on constraint blackout_pkey on blackout is 'One row a blackout.';
comment on constraint blackout_channel_fkey on blackout is
  'Blackouts belong to a channel and go with it.';
comment on constraint blackout_span_valid on blackout is
  'A span has a length.';
comment on constraint blackout_reason_valid on blackout is
  'A reason that can be shown.';
comment on index blackout_channel_idx is
  'Finds the blackouts of a channel that are not over.';

-- Rows of another scheduler that could not be kept as they were.
create sequence import_conflict_id_seq as bigint;

create table import_conflict (
  import_conflict_id bigint not null default nextval('import_conflict_id_seq'),
  source text not null,
  row jsonb not null,
  reason text not null,
  reservation_id bigint,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint import_conflict_pkey primary key (import_conflict_id),
  constraint import_conflict_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete set null
);

alter sequence import_conflict_id_seq owned by import_conflict.import_conflict_id;

create unique index import_conflict_row_key
  on import_conflict (source, md5(row::text));

create index import_conflict_reservation_idx on import_conflict (reservation_id);

comment on sequence import_conflict_id_seq is 'Numbers import conflicts.';
comment on table import_conflict is
  'Rows of another scheduler that an import could not book as they were.';
comment on column import_conflict.import_conflict_id is 'Key of the conflict.';
comment on column import_conflict.source is
  'Where the row came from: a database and table, or a file.';
comment on column import_conflict.row is 'The row as it was read.';
comment on column import_conflict.reason is 'Why it could not be booked.';
comment on column import_conflict.reservation_id is
  'The reservation that it was booked as later; null: still open.';
comment on column import_conflict.created_at is 'When it was imported.';
comment on column import_conflict.created_by is 'Role that imported it.';
comment on constraint import_conflict_pkey on import_conflict is
  'One row a conflict.';
comment on constraint import_conflict_reservation_fkey on import_conflict is
  'The reservation that settled the conflict.';
comment on index import_conflict_row_key is
  'An import that runs twice lists a row once.';
comment on index import_conflict_reservation_idx is
  'Finds the conflict that a reservation settled.';

-- The names under which the roles were installed, so that an upgrade grants
-- to the same ones.
create table workspace_role (
  purpose text not null,
  role_name text not null,
  constraint workspace_role_pkey primary key (purpose),
  constraint workspace_role_purpose_valid
    check (purpose in ('owner', 'app', 'reader', 'admin'))
);

comment on table workspace_role is
  'The database roles of this workspace.';
comment on column workspace_role.purpose is
  'owner, app (EXECUTE on the API), reader (views), admin (administration too).';
comment on column workspace_role.role_name is 'Name of the role.';
comment on constraint workspace_role_pkey on workspace_role is
  'One role a purpose.';
comment on constraint workspace_role_purpose_valid on workspace_role is
  'The purposes that roles.sql grants for.';

comment on table alembic_version is
  'The revision of this workspace, kept by Alembic.';
comment on column alembic_version.version_num is 'Identifier of the revision.';
comment on constraint alembic_version_pkc on alembic_version is
  'One row for the revision.';

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

create function invalid_argument(p_parameter text, p_message text)
returns refusal
language sql
immutable
return row('SWARG', p_message, jsonb_build_object('parameter', p_parameter))::refusal;

comment on function invalid_argument(text, text) is
  'SWARG for a parameter.';

create function unknown_channel(p_channel text)
returns refusal
language sql
stable
return row(
  'SWCHN',
  format('unknown channel %L', left(p_channel, 200)),
  jsonb_build_object('channel', left(p_channel, 200))
)::refusal;

comment on function unknown_channel(text) is 'SWCHN for a channel.';

create function raise_refusal(p_refusal refusal, p_hint text default null)
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  if p_refusal.code is null then
    return;
  end if;
  if p_hint is null then
    raise exception using
      errcode = p_refusal.code,
      message = p_refusal.message,
      detail = coalesce(p_refusal.detail, '{}')::text;
  end if;
  raise exception using
    errcode = p_refusal.code,
    message = p_refusal.message,
    detail = coalesce(p_refusal.detail, '{}')::text,
    hint = p_hint;
end;
$$;

comment on function raise_refusal(refusal, text) is
  'Raises a refusal, if there is one: SQLSTATE, message for a person, detail as JSON for a program.';

create function require_channel(p_channel text)
returns channel
language plpgsql
stable
set search_path from current
as $$
declare
  v_channel channel;
begin
  if p_channel is null then
    perform raise_refusal(invalid_argument('p_channel', 'a channel is needed'));
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  if not found then
    perform raise_refusal(
      unknown_channel(p_channel),
      'create_channel makes a channel; calls without p_channel mean the channel default.'
    );
  end if;
  return v_channel;
end;
$$;

comment on function require_channel(text) is
  'The channel, or SWARG (null), SWCHN (unknown).';

create function require_reservation(p_reservation_id bigint)
returns reservation
language plpgsql
stable
set search_path from current
as $$
declare
  v_reservation reservation;
begin
  if p_reservation_id is null then
    perform raise_refusal(
      invalid_argument('p_reservation_id', 'the id of a reservation is needed')
    );
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id;
  if not found then
    raise exception 'there is no reservation %', p_reservation_id
      using errcode = 'SWNFD',
        detail = jsonb_build_object('reservation_id', p_reservation_id);
  end if;
  return v_reservation;
end;
$$;

comment on function require_reservation(bigint) is
  'The reservation, or SWARG (null), SWNFD (unknown).';

create function name_refusal(p_parameter text, p_name text, p_bytes integer)
returns refusal
language sql
immutable
return case
  when p_name is null or p_name = '' or octet_length(p_name) > p_bytes
    then invalid_argument(p_parameter, format('a name has 1 to %s bytes', p_bytes))
  when p_name ~ '[[:cntrl:]]'
    then invalid_argument(p_parameter, 'a name has no control characters')
  when p_name <> btrim(p_name)
    then invalid_argument(p_parameter, 'a name neither begins nor ends with a space')
end;

comment on function name_refusal(text, text, integer) is
  'SWARG, if this cannot be the name of a channel, limit or type; else null.';

create function max_units_refusal(p_max integer)
returns refusal
language sql
immutable
return case
  when p_max < 0 or p_max > 1000000000
    then invalid_argument('p_max', 'a maximum lies between 0 and 1,000,000,000 units')
end;

comment on function max_units_refusal(integer) is
  'SWARG, if this cannot be a maximum; else null.';

create function upload_lead_refusal(p_upload_lead interval)
returns refusal
language sql
immutable
return case
  when p_upload_lead is null or p_upload_lead < '0' or p_upload_lead > '366 days'
    then invalid_argument('p_upload_lead', 'an upload lead lies between 0 and 366 days')
end;

comment on function upload_lead_refusal(interval) is
  'SWARG, if a channel cannot upload that long before it publishes; else null.';

-- An instant that can be a slot: finite, a whole minute, within the years that
-- the calendar of every zone writes with four digits.
create function publish_time_refusal(p_publish_time timestamptz)
returns refusal
language sql
stable
return case
  when p_publish_time is null
    then invalid_argument('p_publish_time', 'a publish time is needed')
  when not isfinite(p_publish_time)
    or p_publish_time < '0001-01-02 00:00+00' or p_publish_time >= '9999-12-31 00:00+00'
    then invalid_argument('p_publish_time', 'a publish time lies in the years 1 to 9999')
  when mod(extract(epoch from p_publish_time), 60) <> 0
    then invalid_argument('p_publish_time', 'a publish time is a whole minute')
end;

comment on function publish_time_refusal(timestamptz) is
  'SWARG, if the instant cannot be a slot; else null.';

create function day_refusal(p_parameter text, p_day date)
returns refusal
language sql
immutable
return case
  when p_day is null or not isfinite(p_day) or p_day < '0001-01-03' or p_day > '9999-12-29'
    then invalid_argument(p_parameter, 'a day lies in the years 1 to 9999')
end;

comment on function day_refusal(text, date) is
  'SWARG, if this is no day that can be counted on; else null.';

-- A date and a time that can be a slot on some wall clock.
create function local_time_refusal(p_date date, p_time time)
returns refusal
language sql
immutable
return case
  when p_date is null then invalid_argument('p_date', 'a date is needed')
  when (day_refusal('p_date', p_date)).code is not null then day_refusal('p_date', p_date)
  when p_time is null then invalid_argument('p_time', 'a time is needed')
  when p_time = '24:00'
    then invalid_argument('p_time', 'a time lies between 00:00 and 23:59; 24:00 is 00:00 of the next day')
  when extract(second from p_time) <> 0
    then invalid_argument('p_time', 'a time is a whole minute')
end;

comment on function local_time_refusal(date, time) is
  'SWARG, if the date and time cannot be a slot; else null.';

create function limit_name_refusal(p_limit text)
returns refusal
language plpgsql
stable
set search_path from current
as $$
begin
  if exists (select from daily_limit as l where l.limit_id = p_limit) then
    return null;
  end if;
  return invalid_argument('p_limit', format('there is no daily limit %L', left(p_limit, 200)));
end;
$$;

comment on function limit_name_refusal(text) is
  'SWARG, if there is no such limit; else null.';

-- Turns a wall clock's reading into an instant. A zone can give a reading no
-- instant (the clock skips it) or two (it is set back); PostgreSQL's own
-- "at time zone" answers both without a word. Every offset that was in force
-- a day before, then, and a day after is tried; those that lead back to the
-- reading are right, and the smallest is the first.
create function local_instant(p_local timestamp, p_zone text)
returns timestamptz
language plpgsql
stable
set search_path from current
as $$
declare
  v_as_utc timestamptz := p_local at time zone 'UTC';
  v_probe timestamptz;
  v_tried timestamptz;
  v_first timestamptz;
begin
  foreach v_probe in array array[
    v_as_utc - interval '24 hours',
    p_local at time zone p_zone,
    v_as_utc + interval '24 hours'
  ] loop
    v_tried := v_as_utc
      - ((v_probe at time zone p_zone) - (v_probe at time zone 'UTC'));
    if v_tried at time zone p_zone = p_local then
      v_first := least(v_first, v_tried);
    end if;
  end loop;
  return v_first;
end;
$$;

comment on function local_instant(timestamp, text) is
  'The first instant at which clocks of the zone show the local time; null: they skip it.';

-- The last minute before and the first minute after a gap in local time, for
-- the error that names them. Minutes are halved down to the edge; the longest
-- gap so far was a day (Apia, 2011).
create function around_clock_gap(p_local timestamp, p_zone text)
returns timestamp[]
language plpgsql
stable
set search_path from current
as $$
declare
  v_edges timestamp[];
  v_direction integer;
  v_near integer;
  v_far integer;
  v_middle integer;
begin
  foreach v_direction in array array[-1, 1] loop
    v_near := 0;
    v_far := 25 * 60;
    while v_far - v_near > 1 loop
      v_middle := (v_near + v_far) / 2;
      if local_instant(p_local + v_direction * make_interval(mins => v_middle), p_zone) is null then
        v_near := v_middle;
      else
        v_far := v_middle;
      end if;
    end loop;
    v_edges := v_edges || (p_local + v_direction * make_interval(mins => v_far));
  end loop;
  return v_edges;
end;
$$;

comment on function around_clock_gap(timestamp, text) is
  'The local times just before and just after the gap that a local time falls into.';

create function clock_gap_refusal(p_local timestamp, p_zone text)
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_edges timestamp[] := around_clock_gap(p_local, p_zone);
begin
  return row(
    'SWGAP',
    format('%s does not exist in %s: the clocks skip it; the nearest times are %s and %s',
      to_char(p_local, 'YYYY-MM-DD HH24:MI'), p_zone,
      to_char(v_edges[1], 'YYYY-MM-DD HH24:MI'), to_char(v_edges[2], 'YYYY-MM-DD HH24:MI')),
    jsonb_build_object(
      'date', to_char(p_local, 'YYYY-MM-DD'),
      'time', to_char(p_local, 'HH24:MI'),
      'time_zone', p_zone,
      'nearest', jsonb_build_array(
        to_char(v_edges[1], 'YYYY-MM-DD"T"HH24:MI'), to_char(v_edges[2], 'YYYY-MM-DD"T"HH24:MI')
      )
    )
  )::refusal;
end;
$$;

comment on function clock_gap_refusal(timestamp, text) is
  'SWGAP for a local time that the zone''s clocks skip.';

-- PostgreSQL accepts more as a zone than there are zones: 'FOO+3' is a POSIX
-- rule without daylight saving time. Only names of the zone database will do.
-- To list those takes tens of milliseconds, so a zone that is in use already is
-- taken as one.
create function require_zone(p_zone text)
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  if exists (select from channel as c where c.time_zone = p_zone)
    or exists (select from daily_limit as l where l.time_zone = p_zone)
  then
    return;
  end if;
  if not exists (select from pg_timezone_names as z where z.name = p_zone) then
    raise exception 'unknown time zone %', quote_literal(p_zone)
      using errcode = 'SWARG',
        detail = jsonb_build_object('parameter', 'p_time_zone', 'value', p_zone),
        hint = coalesce(
          (
            select format('Did you mean %L?', z.name)
            from pg_timezone_names as z
            where lower(z.name) = lower(p_zone)
            order by z.name
            limit 1
          ),
          'select name from pg_timezone_names lists the zones, such as Asia/Seoul.'
        );
  end if;
end;
$$;

comment on function require_zone(text) is
  'Refuses (SWARG) a time zone that is not in pg_timezone_names.';

-- Midnight, or where the clocks skip midnight, the first instant after it.
create function day_start(p_day date, p_zone text)
returns timestamptz
language sql
stable
return coalesce(
  local_instant(p_day + time '00:00', p_zone),
  (p_day + time '00:00') at time zone p_zone
);

comment on function day_start(date, text) is
  'The first instant of a day in a zone.';

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

-- Instants in DETAIL and in messages must not depend on the session's zone.
create function utc_text(p_instant timestamptz)
returns text
language sql
stable
return to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

comment on function utc_text(timestamptz) is
  'An instant in ISO 8601, in UTC.';

-- Instants in messages: as the channel's people read them.
create function local_text(p_instant timestamptz, p_zone text)
returns text
language sql
stable
return to_char(p_instant at time zone p_zone, 'YYYY-MM-DD HH24:MI') || ' ' || p_zone;

comment on function local_text(timestamptz, text) is
  'An instant on the wall clock of a zone, for a person.';

-- What today's rules take for one upload, in the order of the locks.
create function charges_for(
  p_channel text,
  p_type text,
  p_publish_time timestamptz,
  p_upload_time timestamptz
)
returns setof charge
language sql
stable
begin atomic
  select rule.limit_id, rule.counted_at, rule.day, rule.units
  from (
    select
      r.limit_id,
      l.counted_at,
      (
        case l.counted_at when 'publish' then p_publish_time else p_upload_time end
        at time zone coalesce(l.time_zone, c.time_zone)
      )::date as day,
      r.units
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    join channel as c on c.channel_id = r.channel_id
    where r.channel_id = p_channel
      and r.video_type = p_type
  ) as rule
  order by rule.day, rule.limit_id;
end;

comment on function charges_for(text, text, timestamptz, timestamptz) is
  'The charges that today''s rules make for one upload, ordered by day and limit.';

-- What a reservation holds is what its ledger entries add up to, whatever the
-- rules say today. Units of earlier attempts are spent, so nobody holds them.
create function charges_held(p_reservation_id bigint, p_attempt integer)
returns setof charge
language sql
stable
begin atomic
  select held.limit_id, held.counted_at, held.day, held.units
  from (
    select
      e.limit_id,
      case when e.attempt is null then 'publish' else 'upload' end as counted_at,
      e.day,
      sum(e.units)::integer as units
    from usage_ledger as e
    where e.reservation_id = p_reservation_id
      and (e.attempt is null or e.attempt = p_attempt)
    group by e.limit_id, e.day, e.attempt
    having sum(e.units) <> 0
  ) as held
  order by held.day, held.limit_id;
end;

comment on function charges_held(bigint, integer) is
  'What a reservation holds for its slot and for one attempt, ordered by day and limit.';

create function units_of(p_charges charge[])
returns integer
language plpgsql
immutable
set search_path from current
as $$
declare
  v_charge charge;
  v_units integer := 0;
begin
  foreach v_charge in array p_charges loop
    v_units := v_units + v_charge.units;
  end loop;
  return v_units;
end;
$$;

comment on function units_of(charge[]) is 'Sum of the units of charges.';

-- A move gives back the old and takes the new as one change of each day, so
-- that moving within a full day passes.
create function net_charges(p_take charge[], p_give_back charge[])
returns charge[]
language sql
immutable
begin atomic
  select coalesce(
    array_agg(
      row(net.limit_id, net.counted_at, net.day, net.units)::charge
      order by net.day, net.limit_id, net.units
    ),
    '{}'
  )
  from (
    select
      moved.limit_id,
      moved.counted_at,
      moved.day,
      sum(moved.units)::integer as units
    from (
      select t.limit_id, t.counted_at, t.day, t.units
      from unnest(p_take) as t
      union all
      select g.limit_id, g.counted_at, g.day, -g.units
      from unnest(p_give_back) as g
    ) as moved
    group by moved.limit_id, moved.counted_at, moved.day
    having sum(moved.units) <> 0
  ) as net;
end;

comment on function net_charges(charge[], charge[]) is
  'What is left to take or give back of two lists, ordered by day and limit.';

-- What a change of a reservation takes and gives back.
create function reservation_charges(p_old reservation, p_new reservation)
returns charge[]
language plpgsql
stable
set search_path from current
as $$
declare
  v_charges charge[];
  v_held charge[];
begin
  if p_new.upload_status in ('scheduled', 'uploading', 'completed', 'failed') then
    v_charges := array(
      select c
      from charges_for(
        p_new.channel_id, p_new.video_type,
        p_new.scheduled_publish_time, p_new.upload_time
      ) as c
      where p_new.upload_status <> 'failed' or c.counted_at = 'upload'
    );
  end if;
  if p_old is null then
    return coalesce(v_charges, '{}');
  end if;

  v_held := array(
    select h
    from charges_held(p_old.reservation_id, coalesce(p_new.attempt, p_old.attempt)) as h
  );
  return case
    when p_new is null or p_new.upload_status = 'cancelled'
      then net_charges('{}', v_held)
    when p_new.upload_status = 'failed'
      then net_charges('{}', array(select h from unnest(v_held) as h where h.counted_at = 'publish'))
    when p_new.charged_at is distinct from p_old.charged_at
      then net_charges(v_charges, v_held)
    when p_new.upload_status = 'uploading' and p_new.attempt > p_old.attempt
      then array(select c from unnest(v_charges) as c where c.counted_at = 'upload')
    when p_new.upload_status = 'uploading' and p_old.upload_status = 'scheduled'
      then net_charges(
        array(
          select row(
            h.limit_id,
            h.counted_at,
            case h.counted_at
              when 'publish' then h.day
              else (p_new.upload_time at time zone coalesce(l.time_zone, p_new.time_zone))::date
            end,
            h.units
          )::charge
          from unnest(v_held) as h
          join daily_limit as l on l.limit_id = h.limit_id
        ),
        v_held
      )
    else '{}'
  end;
end;
$$;

comment on function reservation_charges(reservation, reservation) is
  'The net charges of a change of a reservation, ordered by day and limit; a null row stands for none.';

create function sorted_charges(p_charges charge[])
returns charge[]
language sql
immutable
begin atomic
  select array(
    select c from unnest(p_charges) as c order by c.day, c.limit_id
  );
end;

comment on function sorted_charges(charge[]) is
  'Charges in the order of the locks: by day and limit.';

-- The usage of a limit on one day: latest balance and maximum in force. A day
-- that nobody has booked has the maximum of its limit. Inlined into the queries
-- that call it.
create function usage_of(p_limit_id text, p_day date)
returns table (used_units integer, max_units integer, version integer)
language sql
stable
begin atomic
  select
    coalesce(latest.used_units, 0),
    coalesce(
      d.max_units,
      (select l.max_units from daily_limit as l where l.limit_id = p_limit_id)
    ),
    coalesce(latest.version, 0)
  from (values (1)) as one_row (n)
  left join limit_day as d on d.limit_id = p_limit_id and d.day = p_day
  left join lateral (
    select e.used_units, e.version
    from usage_ledger as e
    where e.limit_id = p_limit_id and e.day = p_day
    order by e.version desc
    limit 1
  ) as latest on true;
end;

comment on function usage_of(text, date) is
  'Units used, maximum and version of a limit on a day.';

create function past_refusal(p_publish_time timestamptz, p_zone text)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_now timestamptz := clock_now();
begin
  if p_publish_time > v_now then
    return null;
  end if;
  return row(
    'SWPST',
    format('%s is in the past', local_text(p_publish_time, p_zone)),
    jsonb_build_object('publish_time', utc_text(p_publish_time), 'now', utc_text(v_now))
  )::refusal;
end;
$$;

comment on function past_refusal(timestamptz, text) is
  'SWPST, if the instant is not ahead of the clock; else null.';

create function blackout_refusal(p_channel text, p_publish_time timestamptz)
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_blackout blackout;
begin
  select b.* into v_blackout
  from blackout as b
  where b.channel_id = p_channel
    and b.from_time <= p_publish_time
    and b.to_time > p_publish_time
  order by b.to_time desc
  limit 1;
  if not found then
    return null;
  end if;
  return row(
    'SWBLK',
    format('channel %L publishes nothing then: %s', p_channel, v_blackout.reason),
    jsonb_build_object(
      'channel', p_channel,
      'publish_time', utc_text(p_publish_time),
      'from', utc_text(v_blackout.from_time),
      'to', utc_text(v_blackout.to_time),
      'reason', v_blackout.reason
    )
  )::refusal;
end;
$$;

comment on function blackout_refusal(text, timestamptz) is
  'SWBLK, if the channel is blacked out at that instant; else null.';

-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock.
create function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_reached record;
begin
  select
    c.limit_id, c.counted_at, c.day, c.units,
    usage.used_units, usage.max_units, usage.version
  into v_reached
  from unnest(p_charges) as c
  cross join lateral usage_of(c.limit_id, c.day) as usage
  where c.units > 0
    and usage.used_units + c.units > usage.max_units
    -- What is given back on the same day makes room, too.
    and usage.used_units + c.units + (
      select coalesce(sum(g.units), 0)
      from unnest(p_charges) as g
      where g.limit_id = c.limit_id and g.day = c.day and g.units < 0
    ) > usage.max_units
  order by c.counted_at, c.day, c.limit_id
  limit 1;
  if not found then
    return null;
  end if;
  return row(
    'SWLIM',
    format(
      'daily limit %L is reached on %s: %s of %s units used, %s more needed',
      v_reached.limit_id, to_char(v_reached.day, 'YYYY-MM-DD'),
      v_reached.used_units, v_reached.max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached.used_units,
      'max', v_reached.max_units,
      'units', v_reached.units,
      'version', v_reached.version
    )
  )::refusal;
end;
$$;

comment on function limit_refusal(charge[]) is
  'SWLIM, if the charges would pass a maximum; posting limits before upload limits; else null.';

-- Everything that can speak against a slot at this moment, in the order in
-- which it is told.
create function slot_refusal(
  p_channel channel,
  p_publish_time timestamptz,
  p_video text,
  p_charges charge[],
  p_moving bigint default null
)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_refusal refusal := coalesce(
    past_refusal(p_publish_time, p_channel.time_zone),
    blackout_refusal(p_channel.channel_id, p_publish_time)
  );
  v_holder reservation;
begin
  if v_refusal.code is not null then
    return v_refusal;
  end if;

  if p_video is not null then
    select r.* into v_holder
    from reservation as r
    where r.channel_id = p_channel.channel_id
      and r.video_path = p_video
      and r.upload_status in ('scheduled', 'uploading', 'completed')
      and r.reservation_id is distinct from p_moving;
    if found then
      return row(
        'SWDUP',
        format('video %L is booked already, for %s',
          p_video, local_text(v_holder.scheduled_publish_time, p_channel.time_zone)),
        jsonb_build_object(
          'channel', p_channel.channel_id,
          'video', p_video,
          'reservation_id', v_holder.reservation_id,
          'publish_time', utc_text(v_holder.scheduled_publish_time)
        )
      )::refusal;
    end if;
  end if;

  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_channel.channel_id
    and r.scheduled_publish_time = p_publish_time
    and r.upload_status in ('scheduled', 'uploading', 'completed')
    and r.reservation_id is distinct from p_moving;
  if found then
    return row(
      'SWTKN',
      format('slot %s of channel %L is taken',
        local_text(p_publish_time, p_channel.time_zone), p_channel.channel_id),
      jsonb_build_object(
        'channel', p_channel.channel_id,
        'publish_time', utc_text(p_publish_time),
        'reservation_id', v_holder.reservation_id
      )
    )::refusal;
  end if;

  return limit_refusal(p_charges);
end;
$$;

comment on function slot_refusal(channel, timestamptz, text, charge[], bigint) is
  'The first of SWPST, SWBLK, SWDUP, SWTKN, SWLIM that speaks against a slot; else null. p_moving: a reservation that is about to leave its own slot.';

-- Mistakes in what every booking function is given: SWARG, then SWCHN, SWTYP.
create function argument_refusal(
  p_channel text,
  p_type text,
  p_video text,
  p_request_key text
)
returns refusal
language plpgsql
stable
set search_path from current
as $$
begin
  if p_channel is null then
    return invalid_argument('p_channel', 'a channel is needed');
  elsif p_type is null then
    return invalid_argument('p_type', 'a video type is needed');
  elsif p_video = '' or octet_length(p_video) > 2000 then
    return invalid_argument('p_video', 'a video is named by 1 to 2,000 bytes, or by null');
  elsif p_request_key = '' or octet_length(p_request_key) > 200 then
    return invalid_argument('p_request_key', 'a request key has 1 to 200 bytes, or is null');
  end if;
  if not exists (select from channel as c where c.channel_id = p_channel) then
    return unknown_channel(p_channel);
  end if;
  if not exists (
    select from video_type as t where t.channel_id = p_channel and t.video_type = p_type
  ) then
    return row(
      'SWTYP',
      format('channel %L has no video type %L', p_channel, left(p_type, 200)),
      jsonb_build_object('channel', p_channel, 'type', left(p_type, 200))
    )::refusal;
  end if;
  return null;
end;
$$;

comment on function argument_refusal(text, text, text, text) is
  'SWARG, SWCHN or SWTYP, if the arguments common to all bookings are wrong; else null.';

create function status_refusal(p_reservation reservation, p_needed text, p_wanted text)
returns refusal
language sql
immutable
return case
  when p_reservation.upload_status <> p_needed then row(
    'SWSTA',
    format('reservation %s is %s: only one that is %s can become %s',
      p_reservation.reservation_id, p_reservation.upload_status, p_needed, p_wanted),
    jsonb_build_object(
      'reservation_id', p_reservation.reservation_id,
      'status', p_reservation.upload_status,
      'wanted', p_wanted
    )
  )::refusal
end;

comment on function status_refusal(reservation, text, text) is
  'SWSTA, if the reservation is not in the status that a change needs; else null.';

create function version_refusal(p_reservation reservation, p_expected_version integer)
returns refusal
language sql
immutable
return case
  when p_reservation.version <> p_expected_version then row(
    'SWVER',
    format('reservation %s was changed: version %s is not current, %s is',
      p_reservation.reservation_id, p_expected_version, p_reservation.version),
    jsonb_build_object(
      'reservation_id', p_reservation.reservation_id,
      'version', p_reservation.version,
      'expected_version', p_expected_version
    )
  )::refusal
end;

comment on function version_refusal(reservation, integer) is
  'SWVER, if the caller has seen another version; else null.';

-- The budget of a call is the lock_timeout of its function's SET clause; 0
-- means that it may wait for ever.
create function lock_deadline()
returns timestamptz
language sql
volatile
return case
  when current_setting('lock_timeout')::interval > interval '0'
    then clock_timestamp() + current_setting('lock_timeout')::interval
  else 'infinity'
end;

comment on function lock_deadline() is
  'Until when the running call may wait for locks.';

-- lock_timeout bounds one wait; a call has several. Before each, what is left
-- of the budget becomes the timeout; the SET clause of the calling function
-- puts the session's own back. A null deadline (a direct write) leaves the
-- session's setting alone.
create function bound_lock_wait(p_deadline timestamptz, p_waits integer default 1)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_left_ms numeric;
begin
  if p_deadline is null or p_deadline = 'infinity' then
    return;
  end if;
  v_left_ms := extract(epoch from p_deadline - clock_timestamp()) * 1000;
  if v_left_ms < 1 then
    raise exception 'canceling statement due to lock timeout'
      using errcode = 'lock_not_available',
        hint = 'Another transaction holds the lock of the day; try again.';
  end if;
  perform set_config('lock_timeout', greatest(floor(v_left_ms / p_waits), 1)::text, true);
end;
$$;

comment on function bound_lock_wait(timestamptz, integer) is
  'Lets the next statement, which may wait so many times, wait no longer than the deadline; past it, 55P03.';

-- The one place that locks days. Order of locks, everywhere in slotwarden:
--
--   0. the channel's row: reserve_next_slot, and what sets a channel's ways;
--      then daily_limit rows, by limit_id: what sets limits and rules
--   1. missing limit_day rows, created by (day, limit_id); their trigger takes
--      the daily_limit row for share, so that a maximum that is being changed
--      is waited for
--   2. limit_day rows that exist, for update, by (day, limit_id)
--   3. the reservation's row, and the keys of its unique indexes
--
-- Whoever holds a lock waits only for later ones, so calls do not deadlock
-- among themselves. What is read under the lock must be read by a later
-- statement: one that locks and reads at once reads the state before its wait.
create function lock_days(p_charges charge[], p_deadline timestamptz)
returns boolean
language plpgsql
volatile
set search_path from current
as $$
declare
  v_charge charge;
  v_previous charge;
  v_existing charge[] := '{}';
  v_missing charge[] := '{}';
  v_late boolean := false;
  v_waited boolean := false;
begin
  foreach v_charge in array p_charges loop
    assert v_previous.day is null
      or (v_previous.day, v_previous.limit_id) <= (v_charge.day, v_charge.limit_id),
      'charges are locked in the order of day and limit';
    v_previous := v_charge;
    if exists (
      select from limit_day as d
      where d.limit_id = v_charge.limit_id and d.day = v_charge.day
    ) then
      v_existing := v_existing || v_charge;
    else
      v_missing := v_missing || v_charge;
    end if;
  end loop;

  foreach v_charge in array v_missing loop
    perform bound_lock_wait(p_deadline);
    insert into limit_day (limit_id, day)
    values (v_charge.limit_id, v_charge.day)
    on conflict do nothing;
    if not found then
      -- Created by another transaction meanwhile.
      v_existing := v_existing || v_charge;
      v_late := true;
      v_waited := true;
    end if;
  end loop;
  if v_late then
    v_existing := sorted_charges(v_existing);
  end if;

  foreach v_charge in array v_existing loop
    -- Most days are free: only a wait needs a bound.
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day
    for update skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from limit_day as d
      where d.limit_id = v_charge.limit_id and d.day = v_charge.day
      for update;
      perform bound_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;

comment on function lock_days(charge[], timestamptz) is
  'Locks the days of the charges (ordered by day and limit), creating those that are missing, and says whether it had to wait; 55P03 past the deadline.';

-- Locks limits for a change of their rules or of the zones of their channels,
-- one by one, so that the waits share one budget.
create function lock_limits(p_limit_ids text[], p_deadline timestamptz)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_limit_id text;
begin
  for v_limit_id in
    select distinct l.limit_id from unnest(p_limit_ids) as l (limit_id) order by l.limit_id
  loop
    perform bound_lock_wait(p_deadline);
    perform from daily_limit as l where l.limit_id = v_limit_id for no key update;
  end loop;
  perform bound_lock_wait(p_deadline);
end;
$$;

comment on function lock_limits(text[], timestamptz) is
  'Locks limits in order of their names; 55P03 past the deadline.';

-- The days of a limit that a new maximum reaches: from today on, wherever on
-- earth its channels are, but for those that are overridden.
create function limit_days_ahead(p_limit_id text)
returns charge[]
language plpgsql
volatile
set search_path from current
as $$
begin
  return array(
    select row(d.limit_id, null, d.day, 0)::charge
    from limit_day as d
    join daily_limit as l on l.limit_id = d.limit_id
    where d.limit_id = p_limit_id
      and d.day >= (clock_now() at time zone coalesce(l.time_zone, 'Etc/GMT+12'))::date
      and not d.overridden
    order by d.day
  );
end;
$$;

comment on function limit_days_ahead(text) is
  'The days of a limit that follow its maximum, from today on, in order.';

-- While a call waited for its days, a channel may have got another zone or
-- lead, a rule other units, and an upload that is to run at once may have moved
-- to the next day. Other days would have to be locked against the order of
-- locks, so the call gives way.
create function require_same_rules(
  p_channel channel,
  p_type text,
  p_publish_time timestamptz,
  p_charges charge[]
)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  if not exists (
    select from channel as c
    where c.channel_id = p_channel.channel_id
      and c.time_zone = p_channel.time_zone
      and c.upload_lead = p_channel.upload_lead
  ) or p_charges <> array(
    select c
    from charges_for(
      p_channel.channel_id, p_type, p_publish_time,
      upload_time_for(p_publish_time, p_channel.upload_lead, clock_now())
    ) as c
  ) then
    raise exception 'the rules of channel % changed meanwhile', quote_literal(p_channel.channel_id)
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again.';
  end if;
end;
$$;

comment on function require_same_rules(channel, text, timestamptz, charge[]) is
  'Raises 40001, if a booking would now be charged otherwise than when it began.';

create function raise_ledger_conflict()
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  raise exception 'could not write the next version of a usage: another transaction wrote it first'
    using errcode = 'serialization_failure',
      hint = 'Try the transaction again.';
end;
$$;

comment on function raise_ledger_conflict() is
  'Raises 40001 for a version of a usage that another transaction wrote first.';

-- What the ledger's check constraint is about to raise for a direct write, with
-- the message and the detail that the functions give.
create function refuse_over_maximum(p_charges charge[])
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_refusal refusal := limit_refusal(p_charges);
begin
  if v_refusal.code is null then
    return;
  end if;
  raise exception using
    errcode = 'check_violation',
    message = v_refusal.message,
    detail = v_refusal.detail::text,
    constraint = 'usage_ledger_within_maximum',
    table = 'usage_ledger',
    schema = current_schema();
end;
$$;

comment on function refuse_over_maximum(charge[]) is
  'Raises 23514 (usage_ledger_within_maximum), if the charges would pass a maximum.';

-- Writes charges to the ledger. The days are locked first, and the balances
-- read by a later statement; the ledger's own constraints refuse what would
-- pass a maximum.
create function post_charges(
  p_reservation_id bigint,
  p_attempt integer,
  p_charges charge[],
  p_reason text
)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_posted integer;
begin
  -- A function has locked its days already: then they bear this transaction's
  -- mark, and locking them again would only cost time.
  if exists (
    select from unnest(p_charges) as c
    where not exists (
      select from limit_day as d
      where d.limit_id = c.limit_id
        and d.day = c.day
        and pg_current_xact_id()::xid in (d.xmin, d.xmax)
    )
  ) then
    perform lock_days(p_charges, null);
    perform refuse_over_maximum(p_charges);
  end if;
  insert into usage_ledger (
    limit_id, day, version, reservation_id, attempt, units,
    used_units, max_units, reason, at, by
  )
  select
    c.limit_id,
    c.day,
    usage.version + row_number() over same_day,
    p_reservation_id,
    case c.counted_at when 'upload' then p_attempt end,
    c.units,
    usage.used_units + sum(c.units) over same_day,
    d.max_units,
    p_reason,
    clock_now(),
    caller_role()
  from unnest(p_charges) as c
  cross join lateral usage_of(c.limit_id, c.day) as usage
  cross join lateral (
    select l.max_units
    from limit_day as l
    where l.limit_id = c.limit_id and l.day = c.day
    limit 1
  ) as d
  window same_day as (
    partition by c.limit_id, c.day order by c.units, c.counted_at
  )
  on conflict on constraint usage_ledger_pkey do nothing;
  get diagnostics v_posted = row_count;
  if v_posted <> cardinality(p_charges) then
    perform raise_ledger_conflict();
  end if;
end;
$$;

comment on function post_charges(bigint, integer, charge[], text) is
  'Appends charges of a reservation to the ledger; 40001 when another writer was first.';

-- An entry of 0 units: the maximum or the balance of a day was set. The day
-- is locked by the update that asks for it.
create function post_balance(p_day limit_day, p_used_units integer, p_reason text)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  insert into usage_ledger (
    limit_id, day, version, units, used_units, max_units, reason, at, by
  )
  select
    p_day.limit_id,
    p_day.day,
    coalesce(max(e.version), 0) + 1,
    0,
    coalesce(p_used_units, 0),
    p_day.max_units,
    p_reason,
    clock_now(),
    caller_role()
  from usage_ledger as e
  where e.limit_id = p_day.limit_id and e.day = p_day.day
  on conflict on constraint usage_ledger_pkey do nothing;
  if not found then
    perform raise_ledger_conflict();
  end if;
end;
$$;

comment on function post_balance(limit_day, integer, text) is
  'Appends an entry of 0 units to a day; 40001 when another writer was first.';

-- What the constraints of a table cannot say of a booking, for direct writes:
-- its day is the channel's, and the channel publishes then.
create function check_reservation_slot(p_reservation reservation)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_day_is_true boolean;
  v_is_blacked_out boolean;
begin
  select
    c.time_zone = p_reservation.time_zone
    and p_reservation.local_date =
      (p_reservation.scheduled_publish_time at time zone c.time_zone)::date,
    exists (
      select from blackout as b
      where b.channel_id = c.channel_id
        and b.from_time <= p_reservation.scheduled_publish_time
        and b.to_time > p_reservation.scheduled_publish_time
    )
  into v_day_is_true, v_is_blacked_out
  from channel as c
  where c.channel_id = p_reservation.channel_id;
  if not v_day_is_true then
    raise exception 'local_date and time_zone of a reservation are those of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave both out; they are filled in.';
  end if;
  if v_is_blacked_out and p_reservation.upload_status = 'scheduled' then
    perform raise_refusal(
      blackout_refusal(p_reservation.channel_id, p_reservation.scheduled_publish_time)
    );
  end if;
end;
$$;

comment on function check_reservation_slot(reservation) is
  'Refuses a booking whose local day is not its channel''s (23514) or that is blacked out (SWBLK).';

-- Locks a reservation for a change: first the days whose units it holds and
-- those that it is about to charge, then its row, as the order of locks wants.
-- One that was moved to other days meanwhile would have to be locked against
-- that order, so the call gives way instead; unless it was this very call that
-- moved it, under the same key.
create function lock_reservation(
  p_reservation reservation,
  p_charges charge[],
  p_deadline timestamptz,
  p_request_key text default null
)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_held charge[] := array(
    select h from charges_held(p_reservation.reservation_id, p_reservation.attempt) as h
  );
  v_reservation reservation;
begin
  perform lock_days(sorted_charges(v_held || p_charges), p_deadline);
  perform bound_lock_wait(p_deadline);
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation.reservation_id
  for update;
  if not found then
    return require_reservation(p_reservation.reservation_id);
  end if;
  if v_reservation.version <> p_reservation.version and v_held <> array(
    select h from charges_held(v_reservation.reservation_id, v_reservation.attempt) as h
  ) and v_reservation.upload_status <> 'cancelled'
    and not exists (select from request as q where q.request_key = p_request_key)
  then
    raise exception 'reservation % was moved meanwhile', v_reservation.reservation_id
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again.';
  end if;
  return v_reservation;
end;
$$;

comment on function lock_reservation(reservation, charge[], timestamptz, text) is
  'Locks the days of a reservation and its row, and returns it as it is now; SWNFD, 55P03, 40001.';

create function is_settled(p_booking booking)
returns boolean
language plpgsql
immutable
set search_path from current
as $$
begin
  return (p_booking.refusal).code is not null
    or (p_booking.reservation).reservation_id is not null;
end;
$$;

comment on function is_settled(booking) is
  'Whether a wish to book has come to a refusal or a reservation.';

-- A call that was carried out before under the same key is answered with its
-- reservation. All fields null: the key is new.
create function replay(p_request_key text, p_function text, p_arguments jsonb)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_request request;
  v_booking booking;
  v_reservation reservation;
begin
  if p_request_key is null then
    return v_booking;
  end if;
  select r.* into v_request from request as r where r.request_key = p_request_key;
  if not found then
    return v_booking;
  end if;
  if (v_request.function, v_request.arguments) is distinct from (p_function, p_arguments) then
    v_booking.refusal := row(
      'SWKEY',
      format('request key %L was used before, for another call of %s',
        p_request_key, v_request.function),
      jsonb_build_object('request_key', p_request_key, 'function', v_request.function)
    )::refusal;
    return v_booking;
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = v_request.reservation_id;
  if not found then
    v_booking.refusal := row(
      'SWNFD',
      format('the reservation of request key %L was deleted', p_request_key),
      jsonb_build_object('request_key', p_request_key)
    )::refusal;
  end if;
  v_booking.reservation := v_reservation;
  return v_booking;
end;
$$;

comment on function replay(text, text, jsonb) is
  'What came of an earlier call under the key: its reservation, or SWKEY, SWNFD; all null: none.';

-- Books one slot, or says why not; raises only for waits and conflicts.
--
-- A day that is full already, as committed, is refused without waiting and
-- without writing. Otherwise the days are locked and looked at again, and the
-- unique indexes decide who was first. Only what is refused is looked at in
-- full, since of several reasons the first is told; and only after the key was
-- looked up once more, since the reason may be the first call under that key.
create function book(
  p_channel channel,
  p_type text,
  p_publish_time timestamptz,
  p_video text,
  p_request_key text,
  p_function text,
  p_arguments jsonb,
  p_deadline timestamptz
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_booking booking;
  v_replayed booking;
  v_upload_time timestamptz;
  v_charges charge[];
  v_obstacle refusal;
  v_reservation_id bigint;
  v_reservation reservation;
begin
  loop
    if p_request_key is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      if is_settled(v_replayed) then
        return v_replayed;
      end if;
    end if;

    v_upload_time := upload_time_for(p_publish_time, p_channel.upload_lead, clock_now());
    v_charges := array(
      select c
      from charges_for(p_channel.channel_id, p_type, p_publish_time, v_upload_time) as c
    );
    v_obstacle := coalesce(
      past_refusal(p_publish_time, p_channel.time_zone),
      limit_refusal(v_charges)
    );
    if v_obstacle.code is null then
      if lock_days(v_charges, p_deadline) then
        perform require_same_rules(p_channel, p_type, p_publish_time, v_charges);
      end if;
      v_obstacle := coalesce(
        past_refusal(p_publish_time, p_channel.time_zone),
        blackout_refusal(p_channel.channel_id, p_publish_time),
        limit_refusal(v_charges)
      );
    end if;

    if v_obstacle.code is null then
      v_reservation_id := nextval('reservation_id_seq');
      if p_request_key is not null then
        insert into request (request_key, function, arguments, reservation_id)
        values (p_request_key, p_function, p_arguments, v_reservation_id)
        on conflict do nothing;
        continue when not found;
      end if;
      if p_request_key is not null or p_video is not null then
        -- The insert may wait for a booking of the slot, then for one of the video.
        perform bound_lock_wait(p_deadline, 2);
      end if;
      insert into reservation (
        reservation_id, channel_id, video_type, video_path, scheduled_publish_time,
        upload_time, local_date, time_zone, held_units
      )
      values (
        v_reservation_id, p_channel.channel_id, p_type, p_video, p_publish_time,
        v_upload_time,
        (p_publish_time at time zone p_channel.time_zone)::date,
        p_channel.time_zone,
        units_of(v_charges)
      )
      on conflict do nothing
      returning * into v_reservation;
      if found then
        v_booking.reservation := v_reservation;
        return v_booking;
      end if;
      -- The key must not lead to a booking that is not there.
      delete from request where request_key = p_request_key;
    end if;

    v_booking.refusal := slot_refusal(p_channel, p_publish_time, p_video, v_charges);
    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;
    -- What spoke against it has gone meanwhile: look again.
  end loop;
end;
$$;

comment on function book(channel, text, timestamptz, text, text, text, jsonb, timestamptz) is
  'Books a slot under the locks of its days, or says why not; 55P03 past the deadline, 40001.';

-- A booking by the channel's wall clock, for reserve_slot and its kin.
create function book_local(
  p_date date,
  p_type text,
  p_time time,
  p_video text,
  p_channel text,
  p_request_key text
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_booking booking;
  v_channel channel;
  v_publish_time timestamptz;
begin
  v_booking.refusal := local_time_refusal(p_date, p_time);
  if (v_booking.refusal).code is null then
    v_booking.refusal := argument_refusal(p_channel, p_type, p_video, p_request_key);
  end if;
  if (v_booking.refusal).code is not null then
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_publish_time := local_instant(p_date + p_time, v_channel.time_zone);
  if v_publish_time is null then
    v_booking.refusal := clock_gap_refusal(p_date + p_time, v_channel.time_zone);
    return v_booking;
  end if;
  return book(
    v_channel, p_type, v_publish_time, p_video, p_request_key,
    'reserve_slot',
    case
      when p_request_key is not null then jsonb_build_object(
        'date', to_char(p_date, 'YYYY-MM-DD'), 'type', p_type, 'time', to_char(p_time, 'HH24:MI'),
        'video', p_video, 'channel', p_channel
      )
    end,
    v_deadline
  );
end;
$$;

comment on function book_local(date, text, time, text, text, text) is
  'Books a local time of a channel, or says why not.';

-- The next free slots of a channel, as committed now: of each day its posting
-- times first, then the full hours from 09:00 to 21:00. Candidates that would
-- charge what was refused a moment ago are passed over without asking again.
create function free_slots(
  p_channel channel,
  p_type text,
  p_from timestamptz,
  p_horizon_days integer,
  p_count integer
)
returns setof timestamptz
language plpgsql
stable
set search_path from current
as $$
declare
  v_first_day date := (p_from at time zone p_channel.time_zone)::date;
  v_day date;
  v_candidates timestamptz[];
  v_candidate timestamptz;
  v_charges charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_offset in 0 .. p_horizon_days - 1 loop
    v_day := v_first_day + v_offset;
    v_candidates := array(
      select candidate.publish_time
      from (
        select
          preferred.local_time,
          min(preferred.rank) as rank,
          local_instant(v_day + preferred.local_time, p_channel.time_zone) as publish_time
        from (
          select t.local_time, 1 as rank
          from posting_time as t
          where t.channel_id = p_channel.channel_id
            and (t.iso_weekday is null or t.iso_weekday = extract(isodow from v_day))
          union all
          select make_time(hours.hour, 0, 0), 2
          from generate_series(9, 21) as hours (hour)
        ) as preferred
        group by preferred.local_time
      ) as candidate
      where candidate.publish_time > p_from
        and not exists (
          select from reservation as r
          where r.channel_id = p_channel.channel_id
            and r.scheduled_publish_time = candidate.publish_time
            and r.upload_status in ('scheduled', 'uploading', 'completed')
        )
        and not exists (
          select from blackout as b
          where b.channel_id = p_channel.channel_id
            and b.from_time <= candidate.publish_time
            and b.to_time > candidate.publish_time
        )
      order by candidate.rank, candidate.local_time
    );
    foreach v_candidate in array v_candidates loop
      v_charges := array(
        select c
        from charges_for(
          p_channel.channel_id, p_type, v_candidate,
          upload_time_for(v_candidate, p_channel.upload_lead, clock_now())
        ) as c
      );
      continue when v_charges = v_full;
      if (limit_refusal(v_charges)).code is not null then
        v_full := v_charges;
        continue;
      end if;
      return next v_candidate;
      v_found := v_found + 1;
      if v_found = p_count then
        return;
      end if;
    end loop;
  end loop;
end;
$$;

comment on function free_slots(channel, text, timestamptz, integer, integer) is
  'The next free slots after an instant, in the order in which they would be booked; reads only.';

-- The HINT of a refused booking: the next free slot, looked for within two
-- weeks, and not locked for anybody.
create function next_step(p_code text, p_channel text, p_type text, p_from timestamptz)
returns text
language plpgsql
stable
set search_path from current
as $$
declare
  v_channel channel;
  v_next timestamptz;
begin
  case p_code
    when 'SWTKN', 'SWLIM', 'SWBLK', 'SWPST' then
      select c.* into v_channel from channel as c where c.channel_id = p_channel;
      v_next := (
        select free.slot
        from free_slots(v_channel, p_type, greatest(p_from, clock_now()), 14, 1) as free (slot)
      );
      return case
        when v_next is null then 'No slot is free in the next 14 days.'
        else format('The next free slot is %s.', local_text(v_next, v_channel.time_zone))
      end;
    when 'SWGAP' then return 'Book one of the nearest times.';
    when 'SWDUP' then return 'Cancel that reservation first, or book another video.';
    when 'SWKEY' then return 'Use a new key for a new call.';
    when 'SWCHN' then
      return 'create_channel makes a channel; calls without p_channel mean the channel default.';
    when 'SWTYP' then return 'add_video_type adds a type to a channel.';
    else return null;
  end case;
end;
$$;

comment on function next_step(text, text, text, timestamptz) is
  'What to do after a refusal, for its HINT.';

create function own_limit_name(p_channel text, p_like text, p_limit_id text)
returns text
language sql
immutable
return p_channel || '/' || case
  when starts_with(p_limit_id, p_like || '/') then substr(p_limit_id, length(p_like) + 2)
  else p_limit_id
end;

comment on function own_limit_name(text, text, text) is
  'The name of a channel''s own limit, after the limit of the channel that it is like.';

create function refuse_write()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  raise exception '% of % is refused', lower(tg_op), tg_table_name
    using errcode = 'SWSTA',
      detail = jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      hint = 'Usage changes through reservations and maximums, which write the ledger.';
end;
$$;

comment on function refuse_write() is
  'Trigger: refuses (SWSTA) the statement.';

-- A booking is an insert, a release is a change of status, a move is both.
-- These triggers are the only place that charges, so the rules hold whoever
-- writes.

-- Fills what a direct insert leaves out; the functions give all of it.
create function complete_reservation()
returns trigger
language plpgsql
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_channel channel;
begin
  select c.* into v_channel from channel as c where c.channel_id = new.channel_id;
  if not found then
    raise exception 'unknown channel %', quote_nullable(new.channel_id)
      using errcode = 'SWCHN', detail = jsonb_build_object('channel', new.channel_id);
  end if;
  new.time_zone := coalesce(new.time_zone, v_channel.time_zone);
  new.local_date := coalesce(
    new.local_date, (new.scheduled_publish_time at time zone new.time_zone)::date
  );
  new.upload_time := coalesce(
    new.upload_time,
    upload_time_for(new.scheduled_publish_time, v_channel.upload_lead, clock_now())
  );
  new.held_units := coalesce(
    new.held_units, units_of(reservation_charges(null, new))
  );
  return new;
end;
$$;

comment on function complete_reservation() is
  'Trigger: fills local_date, time_zone, upload_time and held_units of a direct insert (SWCHN).';

create trigger reservation_complete
before insert on reservation
for each row
when (
  new.time_zone is null or new.local_date is null
  or new.upload_time is null or new.held_units is null
)
execute function complete_reservation();

comment on trigger reservation_complete on reservation is
  'Fills what a direct insert leaves out.';

-- Lets through the changes of the life of a reservation, and no others.
create function guard_reservation_update()
returns trigger
language plpgsql
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_channel channel;
  v_moved boolean := (new.scheduled_publish_time, new.video_type)
    is distinct from (old.scheduled_publish_time, old.video_type);
  v_retried boolean := old.upload_status = 'failed' and new.upload_status = 'scheduled';
  v_next_attempt boolean := new.attempt = old.attempt + 1;
  v_started boolean := new.upload_status = 'uploading'
    and (old.upload_status = 'scheduled' or v_next_attempt);
  v_legal boolean;
begin
  v_legal := case old.upload_status
    when 'scheduled' then new.upload_status in ('scheduled', 'uploading', 'cancelled')
    when 'uploading' then new.upload_status in ('uploading', 'completed', 'failed')
    when 'failed' then new.upload_status in ('failed', 'scheduled')
    else new.upload_status = old.upload_status
  end
  and case
    when v_retried then v_next_attempt
    when old.upload_status = 'uploading' and new.upload_status = 'uploading'
      then v_next_attempt or new.attempt = old.attempt
    else new.attempt = old.attempt
  end
  and (not v_moved or new.upload_status = 'scheduled')
  and (v_started or new.upload_time = old.upload_time)
  and (new.reservation_id, new.channel_id, new.local_date, new.time_zone, new.held_units)
    is not distinct from (
      old.reservation_id, old.channel_id, old.local_date, old.time_zone, old.held_units
    )
  and (new.created_at, new.created_by) is not distinct from (old.created_at, old.created_by);
  if v_legal is not true then
    raise exception 'reservation % is %: this change of it is not allowed',
      old.reservation_id, old.upload_status
      using errcode = 'SWSTA',
        detail = jsonb_build_object(
          'reservation_id', old.reservation_id,
          'status', old.upload_status,
          'wanted', new.upload_status
        );
  end if;

  new.version := old.version + 1;
  if v_started and new.upload_time = old.upload_time then
    new.upload_time := clock_now();
  end if;
  if v_moved or v_retried then
    -- The rules are applied anew, even within one tick of the clock.
    new.charged_at := greatest(clock_now(), old.charged_at + interval '1 microsecond');
  end if;
  if new.upload_status = 'scheduled' and new.charged_at is distinct from old.charged_at then
    select c.* into v_channel from channel as c where c.channel_id = new.channel_id;
    new.time_zone := v_channel.time_zone;
    new.local_date := (new.scheduled_publish_time at time zone new.time_zone)::date;
    new.upload_time := upload_time_for(
      new.scheduled_publish_time, v_channel.upload_lead, clock_now()
    );
  end if;
  if (new.upload_status, new.attempt, new.charged_at)
    is distinct from (old.upload_status, old.attempt, old.charged_at)
  then
    new.held_units := units_of(reservation_charges(old, new)) + units_of(array(
      select h from charges_held(old.reservation_id, new.attempt) as h
    ));
  end if;
  return new;
end;
$$;

comment on function guard_reservation_update() is
  'Trigger: refuses (SWSTA) what is not in the life of a reservation; counts its version.';

create trigger reservation_guard_update
before update on reservation
for each row
execute function guard_reservation_update();

comment on trigger reservation_guard_update on reservation is
  'Refuses changes that are not in the life of a reservation.';

create function guard_reservation_delete()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if old.upload_status not in ('scheduled', 'cancelled') or old.attempt > 1 then
    raise exception 'reservation % has been started: its units are spent, it cannot be deleted',
      old.reservation_id
      using errcode = 'SWSTA',
        detail = jsonb_build_object(
          'reservation_id', old.reservation_id, 'status', old.upload_status
        );
  end if;
  return old;
end;
$$;

comment on function guard_reservation_delete() is
  'Trigger: refuses (SWSTA) to delete a reservation whose upload was started.';

create trigger reservation_guard_delete
before delete on reservation
for each row
execute function guard_reservation_delete();

comment on trigger reservation_guard_delete on reservation is
  'Refuses to delete a reservation whose upload was started.';

create function charge_reservation()
returns trigger
language plpgsql
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_charges charge[];
  v_reason text;
begin
  if tg_op = 'DELETE' then
    v_reason := 'delete';
    v_charges := reservation_charges(old, null);
  elsif tg_op = 'INSERT' then
    v_reason := 'reserve';
    perform check_reservation_slot(new);
    v_charges := reservation_charges(null, new);
    if units_of(v_charges) <> new.held_units then
      raise exception 'the charges of the reservation changed while it was booked'
        using errcode = 'serialization_failure',
          hint = 'Try the transaction again; a direct insert leaves held_units out.';
    end if;
  else
    v_reason := case
      when old.upload_status = 'failed' and new.upload_status = 'scheduled' then 'retry'
      when new.upload_status = 'uploading' and new.attempt > old.attempt then 'claim'
      when new.upload_status <> old.upload_status then
        case new.upload_status
          when 'cancelled' then 'cancel'
          when 'uploading' then 'start'
          when 'failed' then 'fail'
          when 'completed' then
            case when new.charged_at is distinct from old.charged_at then 'recalculate' end
        end
      when new.scheduled_publish_time <> old.scheduled_publish_time
        or new.video_type <> old.video_type then 'reschedule'
      when new.charged_at is distinct from old.charged_at then 'recalculate'
    end;
    if v_reason is null then
      return null;
    end if;
    if v_reason in ('retry', 'reschedule') then
      perform check_reservation_slot(new);
    end if;
    v_charges := reservation_charges(old, new);
  end if;
  if cardinality(v_charges) > 0 then
    perform post_charges(
      coalesce(new.reservation_id, old.reservation_id),
      coalesce(new.attempt, old.attempt),
      v_charges,
      v_reason
    );
  end if;
  return null;
end;
$$;

comment on function charge_reservation() is
  'Trigger: posts to the ledger what a change of a reservation takes and gives back.';

create trigger reservation_charge
after insert or update or delete on reservation
for each row
execute function charge_reservation();

comment on trigger reservation_charge on reservation is
  'Charges and releases: the one place that does.';

create trigger reservation_no_truncate
before truncate on reservation
for each statement
execute function refuse_write();

comment on trigger reservation_no_truncate on reservation is
  'A truncate would fire no row trigger, and so release nothing.';

-- The ledger is written by the triggers of reservation and limit_day, and
-- only added to.
create trigger usage_ledger_insert_by_triggers
before insert on usage_ledger
for each statement
when (pg_trigger_depth() = 0)
execute function refuse_write();

comment on trigger usage_ledger_insert_by_triggers on usage_ledger is
  'Entries are written by the triggers of reservation and limit_day.';

create trigger usage_ledger_append_only
before update or delete or truncate on usage_ledger
for each statement
execute function refuse_write();

comment on trigger usage_ledger_append_only on usage_ledger is
  'What is written stays as it is.';

-- A day follows its limit, unless it is overridden. The limit's row is read
-- for share, so that a maximum that is being changed is waited for and the
-- new one is read.
create function follow_daily_limit()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_max_units integer;
begin
  select l.max_units into v_max_units
  from daily_limit as l
  where l.limit_id = new.limit_id
  for share;
  if tg_op = 'UPDATE' and old.overridden then
    new.max_units := v_max_units;
  end if;
  new.max_units := coalesce(new.max_units, v_max_units);
  new.overridden := new.max_units <> v_max_units;
  return new;
end;
$$;

comment on function follow_daily_limit() is
  'Trigger: gives a day its limit''s maximum; another maximum makes it an override.';

create trigger limit_day_follow
before insert or update of max_units, overridden on limit_day
for each row
when (not new.overridden)
execute function follow_daily_limit();

comment on trigger limit_day_follow on limit_day is
  'A day that is not overridden has the maximum of its limit.';

-- The ledger tells every change of a maximum, by an entry of 0 units.
create function record_maximum()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if tg_op = 'UPDATE' and (old.limit_id, old.day) is distinct from (new.limit_id, new.day) then
    raise exception 'a day of a limit cannot become another day'
      using errcode = 'SWSTA',
        detail = jsonb_build_object('limit', old.limit_id, 'day', old.day);
  end if;
  perform post_balance(new, (
    select e.used_units
    from usage_ledger as e
    where e.limit_id = new.limit_id and e.day = new.day
    order by e.version desc
    limit 1
  ), 'maximum');
  return null;
end;
$$;

comment on function record_maximum() is
  'Trigger: writes an entry of 0 units for a changed maximum (SWSTA, 40001).';

create trigger limit_day_record_override
after insert on limit_day
for each row
when (new.overridden)
execute function record_maximum();

comment on trigger limit_day_record_override on limit_day is
  'A day that begins with a maximum of its own has it in the ledger.';

create trigger limit_day_record_change
after update on limit_day
for each row
when (old.* is distinct from new.*)
execute function record_maximum();

comment on trigger limit_day_record_change on limit_day is
  'Every change of a maximum is in the ledger.';

-- An update that changes nothing asks for a recount: units that reservations
-- which are gone still hold are given back, and the balance becomes the sum.
create function recount_day()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_orphan record;
begin
  for v_orphan in
    select e.reservation_id, e.attempt, sum(e.units)::integer as units
    from usage_ledger as e
    where e.limit_id = new.limit_id
      and e.day = new.day
      and e.reservation_id is not null
      and not exists (
        select from reservation as r where r.reservation_id = e.reservation_id
      )
    group by e.reservation_id, e.attempt
    having sum(e.units) > 0
    order by e.reservation_id, e.attempt
  loop
    perform post_charges(
      v_orphan.reservation_id,
      v_orphan.attempt,
      array[row(
        new.limit_id,
        case when v_orphan.attempt is null then 'publish' else 'upload' end,
        new.day,
        -v_orphan.units
      )::charge],
      'recalculate'
    );
  end loop;
  perform post_balance(new, greatest(sum(e.units), 0)::integer, 'recalculate')
  from usage_ledger as e
  where e.limit_id = new.limit_id and e.day = new.day;
  return null;
end;
$$;

comment on function recount_day() is
  'Trigger: makes the balance of a day the sum of its entries (40001).';

create trigger limit_day_recount
after update on limit_day
for each row
when (old.* is not distinct from new.*)
execute function recount_day();

comment on trigger limit_day_recount on limit_day is
  'An update that changes nothing recounts the day.';

create function guard_limit_day_delete()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if exists (
    select from usage_ledger as e where e.limit_id = old.limit_id and e.day = old.day
  ) then
    raise exception 'limit % has usage on %: its day cannot be deleted',
      quote_literal(old.limit_id), old.day
      using errcode = 'SWSTA',
        detail = jsonb_build_object('limit', old.limit_id, 'day', old.day);
  end if;
  return old;
end;
$$;

comment on function guard_limit_day_delete() is
  'Trigger: refuses (SWSTA) to delete a day that has ledger entries.';

create trigger limit_day_guard_delete
before delete on limit_day
for each row
execute function guard_limit_day_delete();

comment on trigger limit_day_guard_delete on limit_day is
  'The lock of a day with usage stays.';

create trigger limit_day_no_truncate
before truncate on limit_day
for each statement
execute function refuse_write();

comment on trigger limit_day_no_truncate on limit_day is
  'The locks of days with usage stay.';

-- A limit that counts in its channels' zone has one day only while all of them
-- share a zone. The touch takes the limit's row for writing at every isolation
-- level, so of two changes that each look fine alone, one waits or gets 40001.
create function check_shared_zone(p_limit_id text)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_zones text;
begin
  update daily_limit set warn_percent = warn_percent where limit_id = p_limit_id;
  select string_agg(distinct quote_literal(c.time_zone), ', ') into v_zones
  from daily_limit as l
  join charge_rule as r on r.limit_id = l.limit_id
  join channel as c on c.channel_id = r.channel_id
  where l.limit_id = p_limit_id and l.time_zone is null
  having count(distinct c.time_zone) > 1;
  if found then
    raise exception 'limit % counts in its channels'' zone, but they are in several: %',
      quote_literal(p_limit_id), v_zones
      using errcode = 'SWARG',
        detail = jsonb_build_object('parameter', 'p_limit', 'limit', p_limit_id),
        hint = 'Give the limit a zone of its own with set_daily_limit(..., p_time_zone => ...).';
  end if;
end;
$$;

comment on function check_shared_zone(text) is
  'Refuses (SWARG) a limit without a zone that channels of several zones charge; locks the limit.';

-- Before the row is written: afterwards its own zone would be one in use.
create function require_daily_limit_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if new.time_zone is not null then
    perform require_zone(new.time_zone);
  end if;
  return new;
end;
$$;

comment on function require_daily_limit_zone() is
  'Trigger: refuses (SWARG) a limit in an unknown zone.';

create trigger daily_limit_require_zone
before insert or update of time_zone on daily_limit
for each row
execute function require_daily_limit_zone();

comment on trigger daily_limit_require_zone on daily_limit is
  'A limit counts in a zone that exists.';

create function check_daily_limit_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if new.time_zone is distinct from old.time_zone then
    perform check_shared_zone(new.limit_id);
  end if;
  return null;
end;
$$;

comment on function check_daily_limit_zone() is
  'Trigger: refuses (SWARG) a limit without a zone where channels of several zones charge it.';

create trigger daily_limit_check_zone
after update of time_zone on daily_limit
for each row
execute function check_daily_limit_zone();

comment on trigger daily_limit_check_zone on daily_limit is
  'A limit has one day.';

-- A new maximum reaches the days that exist already, from today on; what is
-- past stays as it was. A transaction with an old snapshot would miss days
-- that were created since, hence READ COMMITTED.
create function apply_maximum()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_day charge;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'a daily limit is changed at READ COMMITTED only'
      using errcode = 'active_sql_transaction',
        hint = 'begin isolation level read committed;';
  end if;
  perform lock_days(limit_days_ahead(new.limit_id), null);
  foreach v_day in array limit_days_ahead(new.limit_id) loop
    update limit_day
    set max_units = new.max_units
    where limit_id = v_day.limit_id and day = v_day.day;
  end loop;
  return null;
end;
$$;

comment on function apply_maximum() is
  'Trigger: hands a new maximum to the days from today on; 25001 above READ COMMITTED.';

create trigger daily_limit_apply_maximum
after update of max_units on daily_limit
for each row
when (new.max_units <> old.max_units)
execute function apply_maximum();

comment on trigger daily_limit_apply_maximum on daily_limit is
  'Days that are not overridden follow their limit.';

-- Before the row is written: afterwards its own zone would be one in use.
create function require_channel_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  perform require_zone(new.time_zone);
  return new;
end;
$$;

comment on function require_channel_zone() is
  'Trigger: refuses (SWARG) a channel in an unknown zone.';

create trigger channel_require_zone
before insert or update of time_zone on channel
for each row
execute function require_channel_zone();

comment on trigger channel_require_zone on channel is
  'A channel is in a zone that exists.';

create function check_channel_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_limit_id text;
begin
  if new.time_zone = old.time_zone then
    return null;
  end if;
  for v_limit_id in
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = new.channel_id
    order by r.limit_id
  loop
    perform check_shared_zone(v_limit_id);
  end loop;
  return null;
end;
$$;

comment on function check_channel_zone() is
  'Trigger: refuses (SWARG) a zone that a shared limit cannot follow.';

create trigger channel_check_zone
after update of time_zone on channel
for each row
execute function check_channel_zone();

comment on trigger channel_check_zone on channel is
  'A channel is in a zone that its shared limits can follow.';

-- The channel is locked before the limit, as when a channel changes its zone.
create function check_charge_rule()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  perform from channel as c where c.channel_id = new.channel_id for share;
  perform check_shared_zone(new.limit_id);
  return null;
end;
$$;

comment on function check_charge_rule() is
  'Trigger: refuses (SWARG) a rule that makes channels of several zones share a limit without one.';

create trigger charge_rule_check
after insert or update of channel_id, limit_id on charge_rule
for each row
execute function check_charge_rule();

comment on trigger charge_rule_check on charge_rule is
  'A limit without a zone of its own is charged by channels of one zone.';

-- Every day of a limit that has a lock or an override: used and maximum.
create view daily_usage as
select
  d.limit_id,
  l.counted_at,
  d.day,
  coalesce(latest.used_units, 0) as used_units,
  d.max_units,
  greatest(d.max_units - coalesce(latest.used_units, 0), 0) as remaining_units,
  d.overridden,
  coalesce(latest.version, 0) as version
from limit_day as d
join daily_limit as l on l.limit_id = d.limit_id
left join lateral (
  select e.used_units, e.version
  from usage_ledger as e
  where e.limit_id = d.limit_id and e.day = d.day
  order by e.version desc
  limit 1
) as latest on true;

comment on view daily_usage is
  'Used and maximum of every day of a limit that was ever booked or overridden.';
comment on column daily_usage.limit_id is 'The limit.';
comment on column daily_usage.counted_at is 'publish or upload.';
comment on column daily_usage.day is 'Day in the limit''s zone.';
comment on column daily_usage.used_units is 'Units used: the balance of the ledger.';
comment on column daily_usage.max_units is 'Maximum in force on that day.';
comment on column daily_usage.remaining_units is
  'What can still be taken; 0 where the maximum was lowered below what is used.';
comment on column daily_usage.overridden is 'Whether the day has a maximum of its own.';
comment on column daily_usage.version is 'Version of the usage; 0: never changed.';

-- What does not add up. Empty, unless somebody wrote with triggers disabled,
-- or behind PostgreSQL's back. Days are compared with the sums of their
-- entries, reservations with what they say that they hold.
create view usage_drift as
with day_sum as (
  select
    e.limit_id,
    e.day,
    sum(e.units)::integer as units,
    max(e.version) as last_version,
    count(*)::integer as entries
  from usage_ledger as e
  group by e.limit_id, e.day
),
day_latest as (
  select s.*, e.used_units, e.max_units
  from day_sum as s
  join usage_ledger as e
    on e.limit_id = s.limit_id and e.day = s.day and e.version = s.last_version
),
held as (
  select e.reservation_id, e.limit_id, e.day, e.attempt, sum(e.units)::integer as units
  from usage_ledger as e
  where e.reservation_id is not null
  group by e.reservation_id, e.limit_id, e.day, e.attempt
  having sum(e.units) <> 0
),
held_sum as (
  select r.reservation_id, sum(h.units)::integer as units
  from reservation as r
  join held as h
    on h.reservation_id = r.reservation_id
    and (h.attempt is null or h.attempt = r.attempt)
  group by r.reservation_id
)
select
  'balance' as kind,
  d.limit_id,
  d.day,
  null::bigint as reservation_id,
  d.units as expected_units,
  d.used_units as found_units,
  'the balance is not the sum of the entries' as detail
from day_latest as d
where d.units <> d.used_units
union all
select
  'gap', d.limit_id, d.day, null, d.last_version, d.entries,
  'versions are missing: entries were deleted'
from day_latest as d
where d.last_version <> d.entries
union all
select
  'maximum', d.limit_id, d.day, null, l.max_units, d.max_units,
  'the maximum was changed without an entry'
from day_latest as d
left join limit_day as l on l.limit_id = d.limit_id and l.day = d.day
where l.max_units is distinct from d.max_units
union all
select
  'held', null, null, r.reservation_id, r.held_units, coalesce(h.units, 0),
  format('the reservation is %s, but the ledger has other units of it', r.upload_status)
from reservation as r
left join held_sum as h on h.reservation_id = r.reservation_id
where r.held_units <> coalesce(h.units, 0)
union all
select
  'held', h.limit_id, h.day, h.reservation_id, 0, h.units,
  case
    when r.reservation_id is null then 'the reservation is gone, its units are not given back'
    when h.units < 0 then 'more was given back than was taken'
    when r.upload_status = 'failed' then 'the reservation has failed, its slot is not given back'
    else 'the reservation was moved, its units are on another day'
  end
from held as h
left join reservation as r on r.reservation_id = h.reservation_id
where r.reservation_id is null
  or h.units < 0
  or (h.attempt is null and r.upload_status = 'failed')
  -- Zones lie up to 26 hours apart.
  or (h.attempt is null and abs(h.day - r.local_date) > 2)
  or (h.attempt = r.attempt and abs(h.day - (r.upload_time at time zone 'UTC')::date) > 2);

comment on view usage_drift is
  'What does not add up between reservations, ledger and maximums; empty, unless triggers were disabled. recalculate_usage repairs all but gaps.';
comment on column usage_drift.kind is
  'balance, gap or maximum (of a day), or held (of a reservation).';
comment on column usage_drift.limit_id is 'The limit; null: all that the reservation is charged.';
comment on column usage_drift.day is 'Day in the limit''s zone; null: all its days.';
comment on column usage_drift.reservation_id is 'The reservation; null: it is about the day.';
comment on column usage_drift.expected_units is
  'What should stand there (units; of a gap, the number of entries).';
comment on column usage_drift.found_units is 'What stands there.';
comment on column usage_drift.detail is 'What is wrong, for a person.';

create function percent_used(p_used_units integer, p_max_units integer)
returns numeric
language sql
immutable
return round(
  case when p_max_units > 0 then 100.0 * p_used_units / p_max_units else 100 end, 1
);

comment on function percent_used(integer, integer) is
  'Share of a maximum in percent; a maximum of 0 is used up.';

-- The limits that a channel charges, on one day or some days after today: what
-- daily_status, lock_day and quota_warnings show.
create function channel_usage(p_channel channel, p_day date, p_days_ahead integer)
returns table (
  limit_id text,
  counted_at text,
  time_zone text,
  day date,
  used_units integer,
  max_units integer,
  remaining_units integer,
  used_percent numeric,
  overridden boolean,
  version integer,
  resets_at timestamptz
)
language plpgsql
stable
set search_path from current
as $$
begin
  return query
  select
    l.limit_id,
    l.counted_at,
    zone.name,
    asked.day,
    usage.used_units,
    usage.max_units,
    greatest(usage.max_units - usage.used_units, 0),
    percent_used(usage.used_units, usage.max_units),
    coalesce(d.overridden, false),
    usage.version,
    day_start(asked.day + 1, zone.name)
  from daily_limit as l
  cross join lateral (
    select coalesce(l.time_zone, p_channel.time_zone) as name
  ) as zone
  cross join lateral (
    select coalesce(p_day, (clock_now() at time zone zone.name)::date) + p_days_ahead as day
  ) as asked
  cross join lateral usage_of(l.limit_id, asked.day) as usage
  left join limit_day as d on d.limit_id = l.limit_id and d.day = asked.day
  where l.limit_id in (
    select r.limit_id from charge_rule as r where r.channel_id = p_channel.channel_id
  )
  order by l.counted_at, l.limit_id;
end;
$$;

comment on function channel_usage(channel, date, integer) is
  'Used and maximum of each limit of a channel on a day (null: today, in each limit''s zone) or some days after it.';

-- reserve_slot: books exactly one local time of a channel.
--
-- Takes the locks of the days that the booking charges, checks every limit and
-- inserts, in the caller's transaction; all of it holds or nothing does.
--
--   p_date         day on the channel's wall clock
--   p_type         video type, one that the channel defines
--   p_time         time on the channel's wall clock, a whole minute; one that
--                  occurs twice that day means the first
--   p_video        the video (path or id), at most one live booking a channel
--   p_channel      the channel
--   p_request_key  a call that is repeated under its key books nothing twice
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWTYP SWGAP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM,
-- 55P03 after 5 s of waiting (alter function ... set lock_timeout), 40001, 40P01.
-- Locks: the limit_day rows that it charges, until the transaction ends.
create function reserve_slot(
  p_date date,
  p_type text,
  p_time time,
  p_video text default null,
  p_channel text default 'default',
  p_request_key text default null
)
returns reservation
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_booking booking := book_local(p_date, p_type, p_time, p_video, p_channel, p_request_key);
  v_hint text;
begin
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, (
      select (p_date + p_time) at time zone c.time_zone
      from channel as c
      where c.channel_id = p_channel
    ));
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_slot(date, text, time, text, text, text) is
  'Books exactly that local time of a channel and returns the reservation. Errors: SWARG SWCHN SWTYP SWGAP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges.';

-- reserve_slot_at: books exactly one instant. It reaches what reserve_slot
-- cannot: the second of two equal local times when clocks are set back.
--
--   p_publish_time  the instant, a whole minute
--   p_type, p_video, p_channel, p_request_key   as for reserve_slot
--
-- Returns the reservation.
-- SQLSTATEs and locks: as for reserve_slot, without SWGAP.
create function reserve_slot_at(
  p_publish_time timestamptz,
  p_type text,
  p_video text default null,
  p_channel text default 'default',
  p_request_key text default null
)
returns reservation
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_channel channel;
  v_booking booking;
  v_hint text;
begin
  perform raise_refusal(publish_time_refusal(p_publish_time));
  perform raise_refusal(argument_refusal(p_channel, p_type, p_video, p_request_key));
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_booking := book(
    v_channel, p_type, p_publish_time, p_video, p_request_key,
    'reserve_slot_at',
    jsonb_build_object(
      'publish_time', utc_text(p_publish_time), 'type', p_type,
      'video', p_video, 'channel', p_channel
    ),
    v_deadline
  );
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, p_publish_time);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_slot_at(timestamptz, text, text, text, text) is
  'Books exactly that instant and returns the reservation. Errors: SWARG SWCHN SWTYP SWKEY SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges.';

-- try_reserve_slot: as reserve_slot, but what speaks against the slot comes
-- back as a row, so that the caller's transaction goes on. Mistakes in the
-- arguments are raised all the same.
--
-- Parameters: as for reserve_slot.
--
-- Returns one row:
--   outcome      reserved; or SWBLK, SWDUP, SWTKN, SWLIM
--   reservation  the reservation, if reserved
--   message      why not, for a person
--   detail       why not, for a program: the DETAIL of reserve_slot
-- SQLSTATEs: SWARG SWCHN SWTYP SWGAP SWKEY SWPST, 55P03, 40001, 40P01.
-- Locks: the limit_day rows that it charges, until the transaction ends; none
-- if it is refused by what is committed already.
create function try_reserve_slot(
  p_date date,
  p_type text,
  p_time time,
  p_video text default null,
  p_channel text default 'default',
  p_request_key text default null
)
returns table (outcome text, reservation reservation, message text, detail jsonb)
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_booking booking := book_local(p_date, p_type, p_time, p_video, p_channel, p_request_key);
  v_code text := (v_booking.refusal).code;
begin
  if v_code not in ('SWBLK', 'SWDUP', 'SWTKN', 'SWLIM') then
    perform raise_refusal(v_booking.refusal, next_step(v_code, p_channel, p_type, null));
  end if;
  return query
  select
    coalesce(v_code, 'reserved'),
    v_booking.reservation,
    (v_booking.refusal).message,
    (v_booking.refusal).detail;
end;
$$;

comment on function try_reserve_slot(date, text, time, text, text, text) is
  'As reserve_slot, but SWBLK, SWDUP, SWTKN and SWLIM come back as a row. Errors: SWARG SWCHN SWTYP SWGAP SWKEY SWPST 55P03 40001 40P01. Locks: the limit_day rows that it charges.';

-- cancel_reservation: frees the slot and gives back everything it holds.
-- Asking again changes nothing.
--
--   p_reservation_id    the reservation
--   p_expected_version  the version that the caller has seen; null: any
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWNFD, SWSTA (its upload was started), SWVER, 55P03 after
-- 5 s of waiting, 40001 (it was moved meanwhile), 40P01.
-- Locks: the limit_day rows whose units it holds, then the reservation.
create function cancel_reservation(
  p_reservation_id bigint,
  p_expected_version integer default null
)
returns reservation
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_reservation reservation := require_reservation(p_reservation_id);
begin
  if v_reservation.upload_status = 'cancelled' then
    return v_reservation;
  end if;
  v_reservation := lock_reservation(v_reservation, null, v_deadline);
  if v_reservation.upload_status = 'cancelled' then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'scheduled', 'cancelled'));
  perform raise_refusal(version_refusal(v_reservation, p_expected_version));
  update reservation as r
  set upload_status = 'cancelled'
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function cancel_reservation(bigint, integer) is
  'Frees the slot and gives back everything; asking again changes nothing. Errors: SWARG SWNFD SWSTA SWVER 55P03 40001 40P01. Locks: the limit_day rows whose units it holds, then the reservation.';

-- daily_status: what a channel has used of its limits on one day.
--
--   p_day      the day, for every limit in its own zone; null: today
--   p_channel  the channel
--
-- Returns a row for each limit that the channel charges:
--   limit_id, counted_at, time_zone  the limit; the zone of its day
--   day              the day
--   used_units, max_units, remaining_units, used_percent
--   overridden       whether the day has a maximum of its own
--   version          version of the usage; 0: never changed
--   resets_at        when the day ends
-- SQLSTATEs: SWARG, SWCHN. Locks: none; writes nothing.
create function daily_status(
  p_day date default null,
  p_channel text default 'default'
)
returns table (
  limit_id text,
  counted_at text,
  time_zone text,
  day date,
  used_units integer,
  max_units integer,
  remaining_units integer,
  used_percent numeric,
  overridden boolean,
  version integer,
  resets_at timestamptz
)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  if p_day is not null then
    perform raise_refusal(day_refusal('p_day', p_day));
  end if;
  return query select u.* from channel_usage(v_channel, p_day, 0) as u;
end;
$$;

comment on function daily_status(date, text) is
  'Used and maximum of each limit of a channel on one day, and when the day ends. Errors: SWARG SWCHN. Reads only.';

-- calendar: the bookings of a channel in a span of days, in order of time;
-- those that were cancelled are left out.
--
--   p_from     first day on the channel's wall clock; null: today
--   p_days     number of days, 1 to 3660
--   p_channel  the channel
--
-- Returns a row for each booking: day and local_time on the channel's wall
-- clock, publish_time as an instant, time_zone, and what the reservation says.
-- SQLSTATEs: SWARG, SWCHN. Locks: none; writes nothing.
create function calendar(
  p_from date default null,
  p_days integer default 7,
  p_channel text default 'default'
)
returns table (
  day date,
  local_time time,
  publish_time timestamptz,
  time_zone text,
  reservation_id bigint,
  video_type text,
  video_path text,
  upload_status text,
  youtube_video_id text,
  error_message text,
  version integer
)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_from date := coalesce(p_from, (clock_now() at time zone v_channel.time_zone)::date);
begin
  if p_days is null or p_days not between 1 and 3660 then
    perform raise_refusal(invalid_argument('p_days', 'a calendar shows 1 to 3660 days'));
  end if;
  perform raise_refusal(day_refusal('p_from', v_from));
  perform raise_refusal(day_refusal('p_from', v_from + p_days));
  return query
  select
    (r.scheduled_publish_time at time zone v_channel.time_zone)::date,
    (r.scheduled_publish_time at time zone v_channel.time_zone)::time,
    r.scheduled_publish_time,
    v_channel.time_zone,
    r.reservation_id,
    r.video_type,
    r.video_path,
    r.upload_status,
    r.youtube_video_id,
    r.error_message,
    r.version
  from (
    -- Each half has an index of its own.
    select l.*
    from reservation as l
    where l.upload_status in ('scheduled', 'uploading', 'completed')
    union all
    select f.*
    from reservation as f
    where f.upload_status = 'failed'
  ) as r
  where r.channel_id = v_channel.channel_id
    and r.scheduled_publish_time >= day_start(v_from, v_channel.time_zone)
    and r.scheduled_publish_time < day_start(v_from + p_days, v_channel.time_zone)
  order by r.scheduled_publish_time, r.reservation_id;
end;
$$;

comment on function calendar(date, integer, text) is
  'The bookings of a channel in a span of days, by its wall clock, without the cancelled. Errors: SWARG SWCHN. Reads only.';

-- A reservation as its update trigger will leave it when today's rules are
-- applied to it.
create function as_recharged(p_reservation reservation)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_channel channel;
begin
  p_reservation.charged_at := clock_now();
  if p_reservation.upload_status = 'scheduled' then
    select c.* into v_channel
    from channel as c
    where c.channel_id = p_reservation.channel_id;
    p_reservation.time_zone := v_channel.time_zone;
    p_reservation.local_date :=
      (p_reservation.scheduled_publish_time at time zone v_channel.time_zone)::date;
    p_reservation.upload_time := upload_time_for(
      p_reservation.scheduled_publish_time, v_channel.upload_lead, clock_now()
    );
  end if;
  return p_reservation;
end;
$$;

comment on function as_recharged(reservation) is
  'The reservation with today''s zone and upload time of its channel, if it is scheduled.';

-- Applies today's rules to one reservation, under the locks of its days. What
-- would pass a maximum is left as it is and said.
create function recharge_reservation(p_reservation_id bigint)
returns usage_change[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reservation reservation;
  v_recharged reservation;
  v_charges charge[];
  v_held charge[];
  v_refusal refusal;
begin
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id
  for update;
  v_recharged := as_recharged(v_reservation);
  v_charges := reservation_charges(v_reservation, v_recharged);
  v_held := array(
    select h from charges_held(v_reservation.reservation_id, v_reservation.attempt) as h
  );
  if cardinality(v_charges) = 0 then
    if v_reservation.held_units <> units_of(v_held)
      or (v_recharged.time_zone, v_recharged.local_date, v_recharged.upload_time)
        <> (v_reservation.time_zone, v_reservation.local_date, v_reservation.upload_time)
    then
      update reservation as r
      set charged_at = clock_now()
      where r.reservation_id = p_reservation_id;
    end if;
    if v_reservation.held_units = units_of(v_held) then
      return '{}';
    end if;
    return array[row(
      p_reservation_id, null, null, 'recount', v_reservation.held_units, units_of(v_held),
      'what it says that it holds is what the ledger says'
    )::usage_change];
  end if;
  v_refusal := limit_refusal(v_charges);
  if v_refusal.code is null then
    update reservation as r
    set charged_at = clock_now()
    where r.reservation_id = p_reservation_id;
  end if;
  return array(
    select row(
      p_reservation_id,
      c.limit_id,
      c.day,
      case
        when v_refusal.code is not null then 'refused'
        when c.units > 0 then 'charge'
        else 'release'
      end,
      held.units,
      held.units + case when v_refusal.code is null then c.units else 0 end,
      coalesce(v_refusal.message, format('the reservation is %s', v_reservation.upload_status))
    )::usage_change
    from unnest(v_charges) as c
    cross join lateral (
      select coalesce(sum(h.units), 0)::integer as units
      from unnest(v_held) as h
      where h.limit_id = c.limit_id and h.day = c.day
    ) as held
  );
end;
$$;

comment on function recharge_reservation(bigint) is
  'Applies today''s rules to a reservation; returns what changed, or refused where a maximum is reached.';

-- The work of recalculate_usage. All days are locked first, in their order;
-- days are recounted before reservations are charged on them.
create function repair_usage(
  p_from date,
  p_to date,
  p_recharge boolean,
  p_deadline timestamptz
)
returns usage_change[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_days charge[];
  v_ids bigint[];
  v_id bigint;
  v_day charge;
  v_before integer;
  v_after integer;
  v_changes usage_change[] := '{}';
begin
  v_days := array(
    select distinct row(u.limit_id, null, u.day, 0)::charge
    from usage_drift as u
    where u.day between p_from and p_to
      and (
        u.kind in ('balance', 'maximum')
        or u.kind = 'held' and not exists (
          select from reservation as r where r.reservation_id = u.reservation_id
        )
      )
  );
  v_ids := array(
    select r.reservation_id
    from reservation as r
    where r.local_date between p_from and p_to
      and (
        r.reservation_id in (select u.reservation_id from usage_drift as u)
        or p_recharge
          and r.upload_status = 'scheduled'
          and r.scheduled_publish_time > clock_now()
      )
    order by r.scheduled_publish_time, r.reservation_id
  );
  perform lock_days(
    sorted_charges(v_days || array(
      select c
      from reservation as r
      cross join lateral (
        select h from charges_held(r.reservation_id, r.attempt) as h
        union all
        select f
        from charges_for(
          r.channel_id, r.video_type, r.scheduled_publish_time,
          (as_recharged(r)).upload_time
        ) as f
      ) as affected (c)
      where r.reservation_id = any (v_ids)
    )),
    p_deadline
  );

  foreach v_day in array v_days loop
    select u.used_units into v_before from usage_of(v_day.limit_id, v_day.day) as u;
    update limit_day as d
    set day = d.day
    where d.limit_id = v_day.limit_id and d.day = v_day.day;
    select u.used_units into v_after from usage_of(v_day.limit_id, v_day.day) as u;
    v_changes := v_changes || row(
      null, v_day.limit_id, v_day.day, 'recount', v_before, v_after,
      'the balance is the sum of the entries'
    )::usage_change;
  end loop;

  foreach v_id in array v_ids loop
    perform bound_lock_wait(p_deadline);
    v_changes := v_changes || recharge_reservation(v_id);
  end loop;

  -- Where more was given back than taken, no balance could be the sum before
  -- its reservations were charged again.
  update limit_day as d
  set day = d.day
  from unnest(v_days) as c
  join usage_drift as u
    on u.kind = 'balance' and u.limit_id = c.limit_id and u.day = c.day
  where d.limit_id = c.limit_id and d.day = c.day;
  return v_changes;
end;
$$;

comment on function repair_usage(date, date, boolean, timestamptz) is
  'Recounts, repairs and re-charges a span of days; returns what it changed; 55P03, 40001.';

-- create_channel: a new channel with the video types, posting times and charge
-- rules of another, and limits of its own like that channel's.
--
--   p_channel       name of the channel, at most 400 bytes
--   p_time_zone     IANA zone of its wall clock
--   p_upload_lead   how long before the publish time its uploads run
--   p_share_limits  limits of p_like that it shares instead of getting its own
--   p_like          the channel to copy from
--
-- A limit "final" of p_like becomes "p_channel/final"; of a limit
-- "other/final" the part after the first channel's name is kept.
-- Returns the channel.
-- SQLSTATEs: SWARG (a name, zone or lead that cannot be; it exists; a limit of
-- its name exists), SWCHN (p_like).
-- Locks: the new rows; shared limits until the transaction ends.
create function create_channel(
  p_channel text,
  p_time_zone text default 'UTC',
  p_upload_lead interval default '0',
  p_share_limits text[] default '{}',
  p_like text default 'default'
)
returns channel
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_like channel := require_channel(p_like);
  v_channel channel;
  v_unknown text;
  v_too_long text;
  v_own_limits text[];
  v_limit_count integer;
begin
  perform raise_refusal(name_refusal('p_channel', p_channel, 400));
  perform raise_refusal(upload_lead_refusal(p_upload_lead));
  if p_time_zone is null then
    perform raise_refusal(invalid_argument('p_time_zone', 'a time zone is needed'));
  end if;
  perform require_zone(p_time_zone);

  select shared.limit_id into v_unknown
  from unnest(coalesce(p_share_limits, '{}')) as shared (limit_id)
  where not exists (
    select from charge_rule as r
    where r.channel_id = p_like and r.limit_id = shared.limit_id
  )
  limit 1;
  if found then
    perform raise_refusal(invalid_argument(
      'p_share_limits', format('channel %L charges no limit %L to share', p_like, v_unknown)
    ));
  end if;

  select own_limit_name(p_channel, p_like, r.limit_id) into v_too_long
  from charge_rule as r
  where r.channel_id = p_like
    and r.limit_id <> all (coalesce(p_share_limits, '{}'))
    and octet_length(own_limit_name(p_channel, p_like, r.limit_id)) > 600
  limit 1;
  if found then
    perform raise_refusal(invalid_argument(
      'p_channel',
      format('the name of its limit %L would have more than 600 bytes', left(v_too_long, 200))
    ));
  end if;

  perform bound_lock_wait(v_deadline);
  insert into channel (channel_id, time_zone, upload_lead)
  values (p_channel, p_time_zone, p_upload_lead)
  on conflict do nothing
  returning * into v_channel;
  if not found then
    perform raise_refusal(
      invalid_argument('p_channel', format('channel %L exists already', p_channel))
    );
  end if;

  insert into posting_time (channel_id, local_time, iso_weekday)
  select p_channel, t.local_time, t.iso_weekday
  from posting_time as t
  where t.channel_id = p_like;

  insert into video_type (channel_id, video_type)
  select p_channel, t.video_type
  from video_type as t
  where t.channel_id = p_like;

  v_own_limits := array(
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = p_like
      and r.limit_id <> all (coalesce(p_share_limits, '{}'))
  );
  insert into daily_limit (limit_id, max_units, time_zone, counted_at, warn_percent)
  select
    own_limit_name(p_channel, p_like, l.limit_id),
    l.max_units, l.time_zone, l.counted_at, l.warn_percent
  from daily_limit as l
  where l.limit_id = any (v_own_limits)
  on conflict do nothing;
  get diagnostics v_limit_count = row_count;
  if v_limit_count <> cardinality(v_own_limits) then
    perform raise_refusal(invalid_argument(
      'p_channel', format('a limit named %L exists already', p_channel || '/...')
    ));
  end if;

  perform lock_limits(coalesce(p_share_limits, '{}'), v_deadline);
  insert into charge_rule (channel_id, video_type, limit_id, units)
  select
    p_channel,
    r.video_type,
    case
      when r.limit_id = any (v_own_limits) then own_limit_name(p_channel, p_like, r.limit_id)
      else r.limit_id
    end,
    r.units
  from charge_rule as r
  where r.channel_id = p_like
  order by r.limit_id, r.video_type;

  return v_channel;
end;
$$;

comment on function create_channel(text, text, interval, text[], text) is
  'Creates a channel like another, with limits of its own named channel/limit, and returns it. Errors: SWARG SWCHN 55P03. Locks: shared limits.';

-- set_channel: changes a channel's zone or upload lead, for new bookings;
-- existing ones keep what they were charged until recalculate_usage.
--
--   p_channel      the channel
--   p_time_zone    IANA zone of its wall clock; null: unchanged
--   p_upload_lead  how long before the publish time its uploads run; null: unchanged
--
-- Returns the channel.
-- SQLSTATEs: SWCHN, SWARG (also a zone that a shared limit cannot follow), 55P03.
-- Locks: the channel and the limits that it charges.
create function set_channel(
  p_channel text,
  p_time_zone text default null,
  p_upload_lead interval default null
)
returns channel
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_channel channel := require_channel(p_channel);
begin
  if p_time_zone is not null then
    perform require_zone(p_time_zone);
  end if;
  if p_upload_lead is not null then
    perform raise_refusal(upload_lead_refusal(p_upload_lead));
  end if;
  perform bound_lock_wait(v_deadline);
  perform from channel as c where c.channel_id = p_channel for no key update;
  if p_time_zone is distinct from v_channel.time_zone and p_time_zone is not null then
    perform lock_limits(
      array(select r.limit_id from charge_rule as r where r.channel_id = p_channel), v_deadline
    );
  end if;
  update channel as c
  set
    time_zone = coalesce(p_time_zone, c.time_zone),
    upload_lead = coalesce(p_upload_lead, c.upload_lead)
  where c.channel_id = p_channel
  returning c.* into v_channel;
  return v_channel;
end;
$$;

comment on function set_channel(text, text, interval) is
  'Changes a channel''s zone or upload lead, for new bookings, and returns it. Errors: SWCHN SWARG 55P03. Locks: the channel and the limits that it charges.';

-- add_video_type: lets a channel publish another kind of video; set_charge
-- says what it takes. Asking again changes nothing.
--
--   p_type     name of the type, at most 100 bytes
--   p_channel  the channel
--
-- Returns the type. SQLSTATEs: SWCHN, SWARG. Locks: none that bookings wait for.
create function add_video_type(p_type text, p_channel text default 'default')
returns video_type
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_type video_type;
begin
  perform raise_refusal(name_refusal('p_type', p_type, 100));
  insert into video_type (channel_id, video_type)
  values (v_channel.channel_id, p_type)
  on conflict do nothing;
  select t.* into v_type
  from video_type as t
  where t.channel_id = p_channel and t.video_type = p_type;
  return v_type;
end;
$$;

comment on function add_video_type(text, text) is
  'Lets a channel publish another video type and returns it. Errors: SWCHN SWARG 55P03.';

-- set_daily_limit: changes a limit, or creates it. A new maximum holds from
-- today on, for all days that are not overridden; it may be lower than what is
-- booked: nothing is lost, and nothing new is accepted until usage falls below.
-- The other settings change new bookings only.
--
--   p_limit         name of the limit
--   p_max           units a day; null: unchanged
--   p_counted_at    publish or upload; null: unchanged
--   p_time_zone     IANA zone of its day, or "channel" for the charging
--                   channel's; null: unchanged
--   p_warn_percent  share of the maximum from which to warn; null: unchanged
--
-- A limit that does not exist is created if p_max and p_counted_at are given,
-- so that a slip in the name creates nothing.
-- Returns the limit.
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 25001 (a maximum is changed at
-- READ COMMITTED only).
-- Locks: the limit, then its days from today on, in their order.
create function set_daily_limit(
  p_limit text,
  p_max integer default null,
  p_counted_at text default null,
  p_time_zone text default null,
  p_warn_percent integer default null
)
returns daily_limit
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_time_zone text := nullif(p_time_zone, 'channel');
  v_limit daily_limit;
begin
  perform raise_refusal(name_refusal('p_limit', p_limit, 600));
  perform raise_refusal(max_units_refusal(p_max));
  if p_counted_at not in ('publish', 'upload') then
    perform raise_refusal(
      invalid_argument('p_counted_at', 'a limit counts at publish or at upload')
    );
  end if;
  if p_warn_percent not between 0 and 100 then
    perform raise_refusal(
      invalid_argument('p_warn_percent', 'a share lies between 0 and 100 percent')
    );
  end if;
  if v_time_zone is not null then
    perform require_zone(v_time_zone);
  end if;

  perform bound_lock_wait(v_deadline);
  if p_max is not null and p_counted_at is not null then
    insert into daily_limit (limit_id, max_units, time_zone, counted_at, warn_percent)
    values (p_limit, p_max, v_time_zone, p_counted_at, coalesce(p_warn_percent, 80))
    on conflict do nothing
    returning * into v_limit;
    if found then
      return v_limit;
    end if;
  end if;
  perform lock_limits(array[p_limit], v_deadline);
  if p_max is not null then
    perform lock_days(limit_days_ahead(p_limit), v_deadline);
  end if;
  update daily_limit as l
  set
    max_units = coalesce(p_max, l.max_units),
    counted_at = coalesce(p_counted_at, l.counted_at),
    time_zone = case when p_time_zone is null then l.time_zone else v_time_zone end,
    warn_percent = coalesce(p_warn_percent, l.warn_percent)
  where l.limit_id = p_limit
  returning l.* into v_limit;
  perform raise_refusal(
    limit_name_refusal(p_limit), 'Give p_max and p_counted_at to create it.'
  );
  return v_limit;
end;
$$;

comment on function set_daily_limit(text, integer, text, text, integer) is
  'Changes or creates a daily limit and returns it. Errors: SWARG 55P03 25001. Locks: the limit, then its days from today on.';

-- override_day: sets the maximum of one day of a limit. It may be lower than
-- what is booked: nothing is lost, nothing new is accepted.
--
--   p_limit  the limit
--   p_day    day in the limit's zone
--   p_max    units on that day; null takes the override back
--
-- Returns the day.
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 40001.
-- Locks: the limit (for share), then the day.
create function override_day(p_limit text, p_day date, p_max integer)
returns limit_day
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_day limit_day;
begin
  perform raise_refusal(limit_name_refusal(p_limit));
  perform raise_refusal(day_refusal('p_day', p_day));
  perform raise_refusal(max_units_refusal(p_max));

  -- A day that follows its limit again reads the limit's row, which comes first
  -- in the order of locks.
  perform bound_lock_wait(v_deadline);
  perform from daily_limit as l where l.limit_id = p_limit for share;
  perform lock_days(array[row(p_limit, null, p_day, 0)::charge], v_deadline);
  update limit_day as d
  set
    max_units = coalesce(p_max, d.max_units),
    overridden = p_max is not null
  where d.limit_id = p_limit
    and d.day = p_day
    and (d.overridden or p_max is not null)
    and (d.overridden, d.max_units) is distinct from (true, p_max)
  returning d.* into v_day;
  if not found then
    select d.* into v_day from limit_day as d where d.limit_id = p_limit and d.day = p_day;
  end if;
  return v_day;
end;
$$;

comment on function override_day(text, date, integer) is
  'Sets the maximum of one day, or (null) takes it back, and returns the day. Errors: SWARG 55P03 40001. Locks: the day.';

-- set_charge: says what one upload of a type takes from a limit, for new
-- bookings; existing ones keep what they were charged until recalculate_usage.
--
--   p_type     video type of the channel
--   p_limit    the limit
--   p_units    units an upload takes; 0 removes the rule
--   p_channel  the channel
--
-- Returns the rule (of 0 units, if it was removed).
-- SQLSTATEs: SWARG, SWCHN, SWTYP, 55P03. Locks: the channel, then the limit.
create function set_charge(
  p_type text,
  p_limit text,
  p_units integer,
  p_channel text default 'default'
)
returns charge_rule
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_refusal refusal := argument_refusal(p_channel, p_type, null, null);
  v_rule charge_rule;
begin
  if p_units is null or p_units < 0 or p_units > 1000000000 then
    perform raise_refusal(
      invalid_argument('p_units', 'an upload takes between 0 and 1,000,000,000 units')
    );
  end if;
  perform raise_refusal(v_refusal, next_step(v_refusal.code, p_channel, p_type, null));
  perform raise_refusal(limit_name_refusal(p_limit), 'set_daily_limit creates a limit.');

  perform bound_lock_wait(v_deadline);
  perform from channel as c where c.channel_id = p_channel for share;
  perform lock_limits(array[p_limit], v_deadline);
  if p_units = 0 then
    delete from charge_rule as r
    where r.channel_id = p_channel and r.video_type = p_type and r.limit_id = p_limit;
    v_rule := row(p_channel, p_type, p_limit, 0)::charge_rule;
  else
    insert into charge_rule (channel_id, video_type, limit_id, units)
    values (p_channel, p_type, p_limit, p_units)
    on conflict on constraint charge_rule_pkey do update set units = excluded.units
    returning * into v_rule;
  end if;
  return v_rule;
end;
$$;

comment on function set_charge(text, text, integer, text) is
  'Sets what one upload of a type takes from a limit and returns the rule. Errors: SWARG SWCHN SWTYP 55P03. Locks: the limit.';

-- recalculate_usage: recounts the days and reservations of a span, and repairs
-- what usage_drift shows of them; on demand, re-charges future bookings.
--
--   p_from, p_to  first and last day: local days of reservations, and days of
--                 limits
--   p_dry_run     only say what would be done: it is done and taken back, so
--                 what is said is exact
--   p_recharge    apply today's zones, leads, rules and limits to bookings that
--                 are scheduled for the future; without it they keep what they
--                 were charged
--
-- Returns a row for each change:
--   reservation_id  the reservation; null: the balance of the day
--   limit_id, day   the limit, and its day
--   action          charge, release, recount; or refused: left as it is
--   units_before    what the reservation held (the balance was)
--   units_after     what it holds now (the balance is)
--   detail          why, for a person
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 40001.
-- Locks: the days that it changes, then the reservations, in their order.
create function recalculate_usage(
  p_from date,
  p_to date,
  p_dry_run boolean default false,
  p_recharge boolean default false
)
returns table (
  reservation_id bigint,
  limit_id text,
  day date,
  action text,
  units_before integer,
  units_after integer,
  detail text
)
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_changes usage_change[];
begin
  if p_from is null or p_to is null or p_from > p_to then
    perform raise_refusal(
      invalid_argument('p_from', 'a span of days has a first and a last day, in this order')
    );
  end if;
  if p_dry_run then
    begin
      v_changes := repair_usage(p_from, p_to, coalesce(p_recharge, false), v_deadline);
      raise exception using errcode = 'SWDRY';
    exception
      when sqlstate 'SWDRY' then null;
    end;
  else
    v_changes := repair_usage(p_from, p_to, coalesce(p_recharge, false), v_deadline);
  end if;
  return query
  select
    c.reservation_id, c.limit_id, c.day, c.action,
    c.units_before, c.units_after, c.detail
  from unnest(v_changes) as c;
end;
$$;

comment on function recalculate_usage(date, date, boolean, boolean) is
  'Recounts a span of days, repairs drift and, on demand, re-charges future bookings; returns what it changed. Errors: SWARG 55P03 40001. Locks: the days that it changes, then the reservations.';

-- What a new workspace holds: one channel, in UTC until it is set otherwise,
-- with YouTube's limits.
insert into channel (channel_id, time_zone)
values ('default', 'UTC');

insert into posting_time (channel_id, local_time)
values ('default', '10:00'), ('default', '14:00'), ('default', '18:00');

insert into video_type (channel_id, video_type)
values ('default', 'final'), ('default', 'short');

-- YouTube's quota day turns at midnight Pacific Time
-- (https://developers.google.com/youtube/v3/getting-started#quota).
insert into daily_limit (limit_id, max_units, time_zone, counted_at)
values
  ('final', 2, null, 'publish'),
  ('short', 5, null, 'publish'),
  ('api_units', 10000, 'America/Los_Angeles', 'upload');

insert into charge_rule (channel_id, video_type, limit_id, units)
values
  ('default', 'final', 'final', 1),
  ('default', 'final', 'api_units', 1600),
  ('default', 'short', 'short', 1),
  ('default', 'short', 'api_units', 1600);

-- The roles that prepare.sql has found or made.
insert into workspace_role (purpose, role_name)
select p.purpose, current_setting(format('slotwarden.%s_role', p.purpose))
from unnest(array['owner', 'app', 'reader', 'admin']) as p (purpose)
where current_setting(format('slotwarden.%s_role', p.purpose)) <> '';

-- Who may do what. Nobody but the owner has rights on tables; the functions of
-- the API run with the owner's. PostgreSQL lets everybody execute a new
-- function, so that is taken back first, in the creating transaction.
do $roles$
declare
  v_booking text[] := array[
    'reserve_slot(date, text, time, text, text, text)',
    'reserve_slot_at(timestamptz, text, text, text, text)',
    'try_reserve_slot(date, text, time, text, text, text)',
    'cancel_reservation(bigint, integer)'
  ];
  v_reading text[] := array[
    'daily_status(date, text)',
    'calendar(date, integer, text)'
  ];
  v_admin text[] := array[
    'create_channel(text, text, interval, text[], text)',
    'set_channel(text, text, interval)',
    'add_video_type(text, text)',
    'set_daily_limit(text, integer, text, text, integer)',
    'override_day(text, date, integer)',
    'set_charge(text, text, integer, text)',
    'recalculate_usage(date, date, boolean, boolean)'
  ];
  v_views text[] := array['daily_usage', 'usage_drift'];
  v_granted record;
  v_object text;
begin
  execute format('revoke all on all functions in schema %I from public', current_schema());

  for v_granted in
    select
      w.role_name,
      case w.purpose
        when 'app' then v_booking || v_reading
        when 'reader' then v_reading
        else v_booking || v_reading || v_admin
      end as functions,
      case w.purpose when 'app' then '{}'::text[] else v_views end as views
    from workspace_role as w
    where w.purpose <> 'owner'
    order by w.purpose
  loop
    execute format('grant usage on schema %I to %I', current_schema(), v_granted.role_name);
    foreach v_object in array v_granted.functions loop
      execute format('grant execute on function %s to %I', v_object, v_granted.role_name);
    end loop;
    foreach v_object in array v_granted.views loop
      execute format('grant select on %I to %I', v_object, v_granted.role_name);
    end loop;
  end loop;
end;
$roles$;
