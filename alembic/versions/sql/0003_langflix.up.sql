-- Frozen: what this revision added to sql/.

-- Where a reservation came from, for those that another scheduler booked: the
-- application that showed its ids goes on showing them.
create table imported_reservation (
  reservation_id bigint not null,
  source text not null,
  source_id text not null,
  imported_at timestamptz not null default clock_now(),
  imported_by text not null default caller_role(),
  constraint imported_reservation_pkey primary key (reservation_id),
  constraint imported_reservation_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete cascade,
  constraint imported_reservation_source_key unique (source, source_id),
  constraint imported_reservation_source_valid
    check (source <> '' and octet_length(source) <= 200),
  constraint imported_reservation_source_id_valid
    check (source_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
);

comment on table imported_reservation is
  'The ids that reservations had in the scheduler that they were imported from.';
comment on column imported_reservation.reservation_id is 'The reservation.';
comment on column imported_reservation.source is
  'Which scheduler it came from, as import_langflix was told.';
comment on column imported_reservation.source_id is
  'Its id there, a UUID in lower case.';
comment on column imported_reservation.imported_at is 'When it was imported.';
comment on column imported_reservation.imported_by is 'Role that imported it.';
comment on constraint imported_reservation_pkey on imported_reservation is
  'A reservation came from one place.';
comment on constraint imported_reservation_reservation_fkey on imported_reservation is
  'Goes with its reservation.';
comment on constraint imported_reservation_source_key on imported_reservation is
  'An import that runs twice imports a row once.';
comment on constraint imported_reservation_source_valid on imported_reservation is
  'A name that fits into the index key.';
comment on constraint imported_reservation_source_id_valid on imported_reservation is
  'Ids of LangFlix are UUIDs, which the view youtube_schedule shows as such.';

-- Rows that could not be booked are told apart by their id as well.
create index import_conflict_source_id_idx
  on import_conflict (source, lower(row ->> 'id'));

comment on index import_conflict_source_id_idx is
  'Finds the conflict that a row of LangFlix''s was kept as.';

-- What the private functions of the import hand to one another.
create type langflix_row as (
  row jsonb,
  source_id text,
  created_at timestamptz,
  reservation reservation,
  reason text
);

comment on type langflix_row is 'A row of LangFlix''s youtube_schedule, as import_langflix read it.';
comment on column langflix_row.row is 'The row.';
comment on column langflix_row.source_id is 'Its id, a UUID in lower case; null: it has none.';
comment on column langflix_row.created_at is 'When LangFlix made it; null: not known.';
comment on column langflix_row.reservation is 'What it is to be booked as.';
comment on column langflix_row.reason is
  'Why it cannot be booked, as far as the row itself says; null: it can.';

create type langflix_result as (
  source_id text,
  action text,
  reservation_id bigint,
  reason text
);

comment on type langflix_result is 'What import_langflix did with a row.';
comment on column langflix_result.source_id is 'Id of the row; null: it is about a day.';
comment on column langflix_result.action is 'imported, conflict, known or over_limit.';
comment on column langflix_result.reservation_id is 'The reservation.';
comment on column langflix_result.reason is 'Why, for a person.';

-- LangFlix knows one posting limit of each video type and one quota. Here a
-- type may charge any number of limits, so its own is the one that the fewest
-- types of the channel charge. Nobody but the owner may read this.
create view langflix_limit as
select distinct on (r.channel_id, r.video_type, l.counted_at)
  r.channel_id,
  r.video_type,
  l.counted_at,
  r.limit_id,
  r.units
from charge_rule as r
join daily_limit as l on l.limit_id = r.limit_id
cross join lateral (
  select count(*) as types
  from charge_rule as o
  where o.channel_id = r.channel_id and o.limit_id = r.limit_id
) as charging
order by r.channel_id, r.video_type, l.counted_at, charging.types, r.limit_id;

comment on view langflix_limit is
  'The limit that LangFlix''s interface shows as a video type''s own, and as its quota.';
comment on column langflix_limit.channel_id is 'The channel.';
comment on column langflix_limit.video_type is 'The video type.';
comment on column langflix_limit.counted_at is
  'publish: the limit of the type; upload: its quota.';
comment on column langflix_limit.limit_id is 'The limit.';
comment on column langflix_limit.units is 'Units that one upload of the type takes.';

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

-- LangFlix's table youtube_quota_usage, for its own queries: channel default,
-- read only, recounted from the ledger. Each number is of the day in its
-- limit's zone, the quota's that of YouTube.
create view youtube_quota_usage as
with shown as (
  select l.video_type, l.limit_id, l.units
  from langflix_limit as l
  where l.channel_id = 'default'
    and l.counted_at = 'publish'
    and l.video_type in ('final', 'short')
  union all
  (
    select 'quota' as video_type, l.limit_id, 1 as units
    from langflix_limit as l
    where l.channel_id = 'default'
      and l.counted_at = 'upload'
      and l.video_type in ('final', 'short')
    order by l.video_type
    limit 1
  )
),
used as (
  select
    u.day,
    coalesce(max(u.used_units) filter (where s.video_type = 'quota'), 0) as quota_used,
    max(u.max_units) filter (where s.video_type = 'quota') as quota_limit,
    coalesce(max((u.used_units + s.units - 1) / s.units)
      filter (where s.video_type = 'final'), 0) as finals,
    coalesce(max((u.used_units + s.units - 1) / s.units)
      filter (where s.video_type = 'short'), 0) as shorts,
    min(entry.first_at) as first_at,
    max(entry.last_at) as last_at
  from shown as s
  join daily_usage as u on u.limit_id = s.limit_id
  left join lateral (
    select min(e.at) as first_at, max(e.at) as last_at
    from usage_ledger as e
    where e.limit_id = u.limit_id and e.day = u.day
  ) as entry on true
  group by u.day
)
select
  md5('youtube_quota_usage ' || to_char(d.day, 'YYYY-MM-DD'))::uuid as id,
  d.day as date,
  d.quota_used,
  coalesce(d.quota_limit, q.max_units) as quota_limit,
  d.finals + d.shorts as upload_count,
  d.finals as final_videos_uploaded,
  d.shorts as short_videos_uploaded,
  d.first_at as created_at,
  d.last_at as updated_at
from used as d
left join (
  select l.max_units
  from shown as s
  join daily_limit as l on l.limit_id = s.limit_id
  where s.video_type = 'quota'
) as q on true
order by d.day;

comment on view youtube_quota_usage is
  'The usage of channel default in the columns of LangFlix''s table of that name; read only.';
comment on column youtube_quota_usage.id is 'Made from the date.';
comment on column youtube_quota_usage.date is
  'The day, for each number in its limit''s zone.';
comment on column youtube_quota_usage.quota_used is
  'Units used of the quota, which is counted at upload.';
comment on column youtube_quota_usage.quota_limit is
  'Maximum of the quota on that day; null: the channel charges none.';
comment on column youtube_quota_usage.upload_count is 'Finals and shorts together.';
comment on column youtube_quota_usage.final_videos_uploaded is
  'Finals booked for publishing on that day.';
comment on column youtube_quota_usage.short_videos_uploaded is
  'Shorts booked for publishing on that day.';
comment on column youtube_quota_usage.created_at is 'When the day was first charged.';
comment on column youtube_quota_usage.updated_at is 'When its usage last changed.';

create function langflix_local_time(p_text text)
returns timestamp
language plpgsql
stable
set search_path from current
as $$
begin
  if p_text !~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?$' then
    return null;
  end if;
  return p_text::timestamp;
exception
  when datetime_field_overflow or invalid_datetime_format then return null;
end;
$$;

comment on function langflix_local_time(text) is
  'A time in ISO 8601 without an offset; null: the text is none.';

-- LangFlix wrote what it was given: with an offset that is an instant, without
-- one it was meant on the channel's wall clock.
create function langflix_instant(p_text text, p_zone text)
returns timestamptz
language plpgsql
stable
set search_path from current
as $$
begin
  if p_text ~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d){0,2})$'
  then
    return p_text::timestamptz;
  end if;
  return local_instant(langflix_local_time(p_text), p_zone);
exception
  when datetime_field_overflow or invalid_datetime_format
    or invalid_time_zone_displacement_value then return null;
end;
$$;

comment on function langflix_instant(text, text) is
  'The instant that LangFlix meant by a time, in ISO 8601; null: there is none.';

create function langflix_whole_minute(p_instant timestamptz)
returns timestamptz
language sql
immutable
return to_timestamp(floor(extract(epoch from p_instant) / 60)::float8 * 60);

comment on function langflix_whole_minute(timestamptz) is
  'The instant without its seconds: slots are whole minutes.';

create function langflix_time_refusal(p_text text, p_zone text)
returns text
language plpgsql
stable
set search_path from current
as $$
declare
  v_instant timestamptz := langflix_instant(p_text, p_zone);
begin
  return case
    when p_text is null then 'it has no publish time'
    when v_instant is not null then (publish_time_refusal(langflix_whole_minute(v_instant))).message
    when langflix_local_time(p_text) is not null
      then (clock_gap_refusal(date_trunc('minute', langflix_local_time(p_text)), p_zone)).message
    else format('its publish time %L cannot be read', left(p_text, 100))
  end;
end;
$$;

comment on function langflix_time_refusal(text, text) is
  'Why a publish time of LangFlix''s can be no slot; null: it can.';

-- LangFlix has no status for what was cancelled: it calls that failed, with a
-- message of its own. Uploads that came to nothing are failed as well.
create function langflix_status(p_status text, p_error_message text)
returns text
language sql
immutable
return case
  when p_status = 'failed' and p_error_message = 'Cancelled by user' then 'cancelled'
  when p_status in ('scheduled', 'uploading', 'completed', 'failed') then p_status
  when p_status = 'uploaded' then 'completed'
end;

comment on function langflix_status(text, text) is
  'The upload_status that a status of LangFlix''s means; null: it is unknown.';

-- What a row of LangFlix's is booked as. LangFlix uploads when it books, ahead
-- of the publish time, so what was started was uploaded when the row was made;
-- what is only scheduled uploads when its channel says.
create function langflix_reservation(p_row jsonb, p_channel channel)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reservation reservation;
  v_now timestamptz := clock_now();
  v_made timestamptz := langflix_instant(p_row ->> 'created_at', p_channel.time_zone);
begin
  v_reservation.channel_id := p_channel.channel_id;
  v_reservation.video_type := p_row ->> 'video_type';
  v_reservation.video_path := p_row ->> 'video_path';
  v_reservation.scheduled_publish_time := langflix_whole_minute(
    langflix_instant(p_row ->> 'scheduled_publish_time', p_channel.time_zone)
  );
  v_reservation.upload_status :=
    langflix_status(p_row ->> 'upload_status', p_row ->> 'error_message');
  v_reservation.upload_time := case
    when v_reservation.upload_status in ('scheduled', 'cancelled')
      then upload_time_for(v_reservation.scheduled_publish_time, p_channel.upload_lead, v_now)
    else least(coalesce(v_made, v_reservation.scheduled_publish_time), v_now)
  end;
  v_reservation.local_date :=
    (v_reservation.scheduled_publish_time at time zone p_channel.time_zone)::date;
  v_reservation.time_zone := p_channel.time_zone;
  v_reservation.attempt := 1;
  v_reservation.lease_token :=
    case v_reservation.upload_status when 'uploading' then gen_random_uuid() end;
  v_reservation.youtube_video_id := p_row ->> 'youtube_video_id';
  v_reservation.error_message := left(p_row ->> 'error_message', 2500);
  v_reservation.version := 1;
  v_reservation.charged_at := v_now;
  v_reservation.created_at := coalesce(v_made, v_now);
  v_reservation.created_by := caller_role();
  return v_reservation;
end;
$$;

comment on function langflix_reservation(jsonb, channel) is
  'What a row of LangFlix''s is booked as, but for its reservation_id; null in it what cannot be read.';

create function langflix_row_of(p_row jsonb, p_channel channel)
returns langflix_row
language plpgsql
volatile
set search_path from current
as $$
declare
  v_row langflix_row;
begin
  v_row.row := p_row;
  v_row.source_id := lower(p_row ->> 'id');
  if v_row.source_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    v_row.source_id := null;
  end if;
  v_row.created_at := langflix_instant(p_row ->> 'created_at', p_channel.time_zone);

  v_row.reservation := langflix_reservation(p_row, p_channel);
  v_row.reason := case
    when v_row.source_id is null then 'its id is not a UUID'
    when not exists (
      select from video_type as t
      where t.channel_id = p_channel.channel_id and t.video_type = p_row ->> 'video_type'
    ) then format(
      'channel %L has no video type %L',
      p_channel.channel_id, coalesce(left(p_row ->> 'video_type', 200), '')
    )
    when (v_row.reservation).upload_status is null then format(
      'its status %L is unknown', coalesce(left(p_row ->> 'upload_status', 200), '')
    )
    when p_row ->> 'video_path' = '' or octet_length(p_row ->> 'video_path') > 2000
      then 'its video path is empty, or longer than 2,000 bytes'
    else coalesce(
      langflix_time_refusal(p_row ->> 'scheduled_publish_time', p_channel.time_zone),
      case (v_row.reservation).upload_status
        when 'scheduled' then (blackout_refusal(
          p_channel.channel_id, (v_row.reservation).scheduled_publish_time
        )).message
      end
    )
  end;
  return v_row;
end;
$$;

comment on function langflix_row_of(jsonb, channel) is
  'Reads a row of LangFlix''s: what it is to be booked as, or what is wrong with it.';

-- Whether an import has settled a row already: as a reservation, or as a
-- conflict, which has a reservation once it was re-booked.
create function langflix_known(
  p_row langflix_row,
  p_source text,
  out is_known boolean,
  out reservation_id bigint
)
returns record
language plpgsql
volatile
set search_path from current
as $$
begin
  select i.reservation_id into reservation_id
  from imported_reservation as i
  where i.source = p_source and i.source_id = p_row.source_id;
  is_known := found;
  if not is_known then
    select c.reservation_id into reservation_id
    from import_conflict as c
    where c.source = p_source and lower(c.row ->> 'id') = p_row.source_id;
    is_known := found;
  end if;
  if not is_known then
    select c.reservation_id into reservation_id
    from import_conflict as c
    where c.source = p_source and md5(c.row::text) = md5((p_row.row)::text);
    is_known := found;
  end if;
end;
$$;

comment on function langflix_known(langflix_row, text) is
  'Whether a row was imported or kept as a conflict before, and the reservation that it became.';

-- Who holds the slot or the video of a row. Named by the id that LangFlix
-- knows where there is one: that stays the same from a dry run to the import.
create function langflix_clash(p_reservation reservation)
returns text
language plpgsql
volatile
set search_path from current
as $$
declare
  v_holder reservation;
  v_name text;
begin
  if p_reservation.upload_status not in ('scheduled', 'uploading', 'completed') then
    return null;
  end if;
  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_reservation.channel_id
    and r.scheduled_publish_time = p_reservation.scheduled_publish_time
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if not found then
    select r.* into v_holder
    from reservation as r
    where r.channel_id = p_reservation.channel_id
      and r.video_path = p_reservation.video_path
      and r.upload_status in ('scheduled', 'uploading', 'completed');
  end if;
  if v_holder.reservation_id is null then
    return null;
  end if;

  v_name := coalesce(
    (
      select 'row ' || i.source_id
      from imported_reservation as i
      where i.reservation_id = v_holder.reservation_id
    ),
    'reservation ' || v_holder.reservation_id
  );
  return case
    when v_holder.scheduled_publish_time = p_reservation.scheduled_publish_time then format(
      'slot %s is taken by %s',
      local_text(p_reservation.scheduled_publish_time, p_reservation.time_zone), v_name
    )
    else format(
      'video %L is booked already, by %s for %s',
      p_reservation.video_path, v_name,
      local_text(v_holder.scheduled_publish_time, p_reservation.time_zone)
    )
  end;
end;
$$;

comment on function langflix_clash(reservation) is
  'Which live booking holds the slot or the video of a row; null: none does.';

-- Raises maxima as far as charges need it, and returns the days as they were.
-- The days are locked, and langflix_restore_maxima follows before they are let
-- go, so nobody else can book what is made room for.
create function langflix_make_room(p_charges charge[])
returns limit_day[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_charge charge;
  v_usage record;
  v_day limit_day;
  v_days limit_day[] := '{}';
begin
  foreach v_charge in array p_charges loop
    v_usage := usage_of(v_charge.limit_id, v_charge.day);
    continue when v_usage.used_units + v_charge.units <= v_usage.max_units;
    select d.* into v_day
    from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    v_days := v_days || v_day;
    update limit_day as d
    set max_units = v_usage.used_units + v_charge.units, overridden = true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
  end loop;
  return v_days;
end;
$$;

comment on function langflix_make_room(charge[]) is
  'Raises the maxima of locked days as far as charges need it; returns the days as they were.';

-- A past day keeps the maximum that it had, though its limit has another now;
-- as an override, since a day that is not overridden follows its limit.
create function langflix_restore_maxima(p_days limit_day[])
returns langflix_result[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_day limit_day;
  v_used_units integer;
  v_results langflix_result[] := '{}';
begin
  for v_day in
    select distinct on (d.day, d.limit_id) d.limit_id, d.day, d.max_units, d.overridden
    from unnest(p_days) with ordinality as d (limit_id, day, max_units, overridden, place)
    order by d.day, d.limit_id, d.place
  loop
    update limit_day as d
    set
      max_units = v_day.max_units,
      overridden = v_day.overridden or v_day.max_units <> l.max_units
    from daily_limit as l
    where l.limit_id = d.limit_id
      and d.limit_id = v_day.limit_id
      and d.day = v_day.day;
    v_used_units := (usage_of(v_day.limit_id, v_day.day)).used_units;
    if v_used_units > v_day.max_units then
      v_results := v_results || row(
        null, 'over_limit', null, format(
          'daily limit %L on %s: %s of %s units are used; nothing new is accepted until usage falls below',
          v_day.limit_id, to_char(v_day.day, 'YYYY-MM-DD'), v_used_units, v_day.max_units
        )
      )::langflix_result;
    end if;
  end loop;
  return v_results;
end;
$$;

comment on function langflix_restore_maxima(limit_day[]) is
  'Gives days back the maxima that they had at first, and tells which are over them.';

-- Books one row under the locks of its days, or keeps it as a conflict.
create function langflix_import_row(p_row langflix_row, p_source text)
returns langflix_result
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reason text := coalesce(p_row.reason, langflix_clash(p_row.reservation));
  v_reservation reservation := p_row.reservation;
begin
  if v_reason is null then
    v_reservation.reservation_id := nextval('reservation_id_seq');
    insert into reservation
    values (v_reservation.*)
    on conflict do nothing;
    if found then
      insert into imported_reservation (reservation_id, source, source_id)
      values (v_reservation.reservation_id, p_source, p_row.source_id);
      return row(p_row.source_id, 'imported', v_reservation.reservation_id, null)::langflix_result;
    end if;
    -- Another booking, which shares no limit with this one, was faster.
    v_reason := coalesce(langflix_clash(v_reservation), 'its slot was taken meanwhile');
  end if;
  insert into import_conflict (source, row, reason)
  values (p_source, p_row.row, v_reason);
  return row(p_row.row ->> 'id', 'conflict', null, v_reason)::langflix_result;
end;
$$;

comment on function langflix_import_row(langflix_row, text) is
  'Books a row of LangFlix''s, or keeps it as an import conflict, and says which.';

-- The work of import_langflix. All days are locked first, in their order; then
-- the rows are taken one after the other, so that of several in one slot the
-- first keeps it.
create function langflix_import(
  p_schedule jsonb,
  p_source text,
  p_channel channel,
  p_deadline timestamptz
)
returns langflix_result[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_rows langflix_row[];
  v_row langflix_row;
  v_known record;
  v_days limit_day[] := '{}';
  v_results langflix_result[] := '{}';
begin
  v_rows := array(
    select read.row
    from (
      select langflix_row_of(e.row, p_channel) as row, e.place
      from jsonb_array_elements(p_schedule) with ordinality as e (row, place)
    ) as read
    order by (read.row).created_at nulls last, (read.row).source_id, read.place
  );
  perform lock_days(
    sorted_charges(array(
      select distinct row(c.limit_id, null, c.day, 0)::charge
      from unnest(v_rows) as r
      cross join lateral unnest(reservation_charges(null, r.reservation)) as c
      where r.reason is null
        and not (langflix_known(r, p_source)).is_known
    )),
    p_deadline
  );

  foreach v_row in array v_rows loop
    v_known := langflix_known(v_row, p_source);
    if v_known.is_known then
      v_results := v_results || row(
        v_row.row ->> 'id', 'known', v_known.reservation_id, null
      )::langflix_result;
      continue;
    end if;
    if v_row.reason is null and langflix_clash(v_row.reservation) is null then
      v_days := v_days || langflix_make_room(reservation_charges(null, v_row.reservation));
    end if;
    v_results := v_results || langflix_import_row(v_row, p_source);
  end loop;
  return v_results || langflix_restore_maxima(v_days);
end;
$$;

comment on function langflix_import(jsonb, text, channel, timestamptz) is
  'Imports rows of LangFlix''s and says what came of each; 55P03 past the deadline, 40001.';

create function langflix_reservation_of_video(p_channel text, p_video text)
returns reservation
language plpgsql
stable
set search_path from current
as $$
declare
  v_reservation reservation;
begin
  select r.* into v_reservation
  from reservation as r
  where r.channel_id = p_channel and r.video_path = p_video
  order by
    r.upload_status in ('scheduled', 'uploading', 'completed') desc,
    r.created_at desc,
    r.reservation_id desc
  limit 1;
  if not found then
    raise exception 'video % has no reservation on channel %',
      quote_literal(left(p_video, 200)), quote_literal(p_channel)
      using errcode = 'SWNFD',
        detail = jsonb_build_object('channel', p_channel, 'video', left(p_video, 200));
  end if;
  return v_reservation;
end;
$$;

comment on function langflix_reservation_of_video(text, text) is
  'The live reservation of a video, else its latest; SWNFD: there is none.';

create function langflix_add_video_id(p_reservation reservation, p_youtube_video_id text)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
begin
  if p_youtube_video_id is null
    or p_youtube_video_id = p_reservation.youtube_video_id
  then
    return p_reservation;
  end if;
  if p_reservation.youtube_video_id is not null then
    perform raise_refusal(row(
      'SWSTA',
      format('reservation %s is completed: it was uploaded already, as %L',
        p_reservation.reservation_id, p_reservation.youtube_video_id),
      jsonb_build_object(
        'reservation_id', p_reservation.reservation_id,
        'status', p_reservation.upload_status,
        'wanted', 'completed'
      )
    )::refusal);
  end if;
  update reservation as r
  set youtube_video_id = p_youtube_video_id
  where r.reservation_id = p_reservation.reservation_id
  returning r.* into p_reservation;
  return p_reservation;
end;
$$;

comment on function langflix_add_video_id(reservation, text) is
  'Notes the id of a locked, completed upload; SWSTA: it has another.';

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

-- import_langflix: takes over the bookings of a LangFlix database. Nothing is
-- dropped: what cannot be booked as it is, is kept as an import conflict, which
-- list_import_conflicts shows and rebook_import_conflict books.
--
-- Rows are taken in the order in which LangFlix made them (created_at, then
-- id). Of several live rows in one slot, or of one video, the first keeps it.
-- A time with an offset is that instant, one without is on the channel's wall
-- clock; seconds are cut off. A day that is over a limit is kept as it is: its
-- maximum is raised while the rows are booked, and then what it was, so that
-- nothing new is accepted until usage falls below. Past rows are history.
-- Usage is counted anew from the rows:
--
--   scheduled   as a booking of the channel
--   uploading,  as an upload at created_at; uploading ones have a random token
--   completed   and no end of lease, so that no worker is given them
--   failed      units that count at upload only; if LangFlix says "Cancelled by
--               user", the reservation is cancelled and holds nothing
--
--   p_schedule  the rows of youtube_schedule as a JSON array of objects with
--               id, video_path, video_type, scheduled_publish_time,
--               upload_status, youtube_video_id, error_message, created_at
--   p_source    name of the database that they are from; what was imported or
--               kept under it before is not imported again
--   p_channel   the channel that they are booked on
--   p_dry_run   only say what would be done: it is done and taken back
--
-- Returns a row for each row, then one for each day that is over a limit:
--   source_id       the row's id; null: it is about a day
--   action          imported, conflict, known (from an earlier import), over_limit
--   reservation_id  the reservation; null in a dry run, unless it is known
--   reason          of a conflict, and of a day that is over its limit
-- SQLSTATEs: SWARG SWCHN, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that the rows charge, until the transaction ends.
create function import_langflix(
  p_schedule jsonb,
  p_source text default 'langflix',
  p_channel text default 'default',
  p_dry_run boolean default false
)
returns table (source_id text, action text, reservation_id bigint, reason text)
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
  v_channel channel := require_channel(p_channel);
  v_results langflix_result[];
begin
  perform raise_refusal(name_refusal('p_source', p_source, 200));
  if p_schedule is null or jsonb_typeof(p_schedule) <> 'array'
    or jsonb_path_exists(p_schedule, 'strict $[*] ? (@.type() <> "object")')
  then
    perform raise_refusal(
      invalid_argument('p_schedule', 'a schedule is a JSON array of objects')
    );
  end if;
  if p_dry_run then
    begin
      v_results := langflix_import(p_schedule, p_source, v_channel, v_deadline);
      raise exception using errcode = 'SWDRY';
    exception
      when sqlstate 'SWDRY' then null;
    end;
  else
    v_results := langflix_import(p_schedule, p_source, v_channel, v_deadline);
  end if;
  return query
  select
    r.source_id,
    r.action,
    case when p_dry_run and r.action = 'imported' then null else r.reservation_id end,
    r.reason
  from unnest(v_results) as r;
end;
$$;

comment on function import_langflix(jsonb, text, text, boolean) is
  'Takes over the bookings of a LangFlix database, drops nothing, and says what came of each row. Errors: SWARG SWCHN 55P03 40001 40P01. Locks: the limit_day rows that the rows charge.';

-- list_import_conflicts: rows of another scheduler that an import could not
-- book as they were, oldest first.
--
--   p_source  only of this import; null: of all
--   p_open    only those that were not booked since; null or false: all
--
-- Returns a row for each: import_conflict_id, source; what the row said
-- (source_id, video_path, video_type, publish_time, status,
-- youtube_video_id, as texts, whatever they were); reason (why it was not
-- booked); reservation_id (what it was booked as since); created_at (when it
-- was imported).
-- SQLSTATEs: none. Locks: none; writes nothing.
create function list_import_conflicts(
  p_source text default null,
  p_open boolean default true
)
returns table (
  import_conflict_id bigint,
  source text,
  source_id text,
  video_path text,
  video_type text,
  publish_time text,
  status text,
  youtube_video_id text,
  reason text,
  reservation_id bigint,
  created_at timestamptz
)
language plpgsql
stable
security definer
set search_path from current
as $$
begin
  return query
  select
    c.import_conflict_id,
    c.source,
    c.row ->> 'id',
    c.row ->> 'video_path',
    c.row ->> 'video_type',
    c.row ->> 'scheduled_publish_time',
    c.row ->> 'upload_status',
    c.row ->> 'youtube_video_id',
    c.reason,
    c.reservation_id,
    c.created_at
  from import_conflict as c
  where (p_source is null or c.source = p_source)
    and (p_open is not true or c.reservation_id is null)
  order by c.import_conflict_id;
end;
$$;

comment on function list_import_conflicts(text, boolean) is
  'The rows of another scheduler that an import could not book, and why. Reads only.';

-- rebook_import_conflict: books the video of an import conflict, at a local
-- time or in the next free slot. The reservation is scheduled, whatever the row
-- was; record_upload says if the video is on YouTube already. It keeps the id
-- that it had in the other scheduler. Asking again returns the reservation, as
-- long as that is live.
--
--   p_import_conflict_id  the conflict, as list_import_conflicts shows it
--   p_date, p_time        the slot on the channel's wall clock; both null: the
--                         next free one
--   p_type                the video type; null: the row's
--   p_channel             the channel
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWNFD (no such conflict) SWCHN SWTYP SWGAP SWPST SWBLK SWDUP
-- SWTKN SWLIM SWNON, 55P03 after 5 s of waiting, or at once while somebody else
-- books the same conflict, 40001, 40P01.
-- Locks: the conflict; for the next free slot the channel; then the limit_day
-- rows that it charges.
create function rebook_import_conflict(
  p_import_conflict_id bigint,
  p_date date default null,
  p_time time default null,
  p_type text default null,
  p_channel text default 'default'
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
  v_conflict import_conflict;
  v_reservation reservation;
  v_type text;
begin
  if p_import_conflict_id is null then
    perform raise_refusal(
      invalid_argument('p_import_conflict_id', 'the id of an import conflict is needed')
    );
  elsif (p_date is null) <> (p_time is null) then
    perform raise_refusal(
      invalid_argument('p_date', 'a slot has a date and a time; without both, the next free one')
    );
  end if;
  select c.* into v_conflict
  from import_conflict as c
  where c.import_conflict_id = p_import_conflict_id
  for update nowait;
  if not found then
    raise exception 'there is no import conflict %', p_import_conflict_id
      using errcode = 'SWNFD',
        detail = jsonb_build_object('import_conflict_id', p_import_conflict_id);
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = v_conflict.reservation_id
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if found then
    return v_reservation;
  end if;

  v_type := coalesce(p_type, v_conflict.row ->> 'video_type');
  if p_date is null then
    v_reservation := reserve_next_slot(
      p_type => v_type, p_video => v_conflict.row ->> 'video_path', p_channel => p_channel
    );
  else
    v_reservation := reserve_slot(
      p_date, v_type, p_time, v_conflict.row ->> 'video_path', p_channel
    );
  end if;
  update import_conflict as c
  set reservation_id = v_reservation.reservation_id
  where c.import_conflict_id = p_import_conflict_id;
  if lower(v_conflict.row ->> 'id') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    insert into imported_reservation (reservation_id, source, source_id)
    values (v_reservation.reservation_id, v_conflict.source, lower(v_conflict.row ->> 'id'))
    on conflict on constraint imported_reservation_source_key
      do update set reservation_id = excluded.reservation_id;
  end if;
  return v_reservation;
end;
$$;

comment on function rebook_import_conflict(bigint, date, time, text, text) is
  'Books the video of an import conflict and returns the reservation. Errors: SWARG SWNFD SWCHN SWTYP SWGAP SWPST SWBLK SWDUP SWTKN SWLIM SWNON 55P03 40001 40P01. Locks: the conflict, then those of reserve_slot or reserve_next_slot.';

-- record_upload: says that a video was uploaded, by an application that keeps
-- no lease_token, such as LangFlix. Its live reservation is completed from
-- scheduled as well (its upload begins and ends now) and from uploading
-- whoever holds the lease. Saying the same again changes nothing; an id that
-- was not known may be added later.
--
--   p_video             the video, as it was booked
--   p_youtube_video_id  the id that YouTube gave it; null: not known
--   p_status            completed (or uploaded, which LangFlix says for it), or
--                       failed: the upload came to nothing
--   p_channel           the channel
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWNFD (the video has no reservation), SWSTA (it has
-- failed or was cancelled; or it was uploaded already, as another video), SWLIM
-- (what was planned for another day does not fit into today: it stays
-- scheduled), 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows whose units it holds or moves, then the reservation.
create function record_upload(
  p_video text,
  p_youtube_video_id text default null,
  p_status text default 'completed',
  p_channel text default 'default'
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
  v_channel channel := require_channel(p_channel);
  v_wanted text := case p_status when 'uploaded' then 'completed' else p_status end;
  v_seen reservation;
  v_reservation reservation;
begin
  if p_video is null then
    perform raise_refusal(invalid_argument('p_video', 'a video is needed'));
  elsif v_wanted is null or v_wanted not in ('completed', 'failed') then
    perform raise_refusal(
      invalid_argument('p_status', 'an upload is completed (or uploaded) or failed')
    );
  elsif p_youtube_video_id = '' or octet_length(p_youtube_video_id) > 200 then
    perform raise_refusal(
      invalid_argument('p_youtube_video_id', 'a video id has 1 to 200 bytes, or is null')
    );
  end if;
  v_seen := langflix_reservation_of_video(v_channel.channel_id, p_video);
  if v_seen.upload_status = 'failed' and v_wanted = 'failed' then
    return v_seen;
  end if;

  v_reservation := lock_reservation(
    v_seen,
    case v_seen.upload_status when 'scheduled' then start_charges(v_seen) end,
    v_deadline
  );
  if v_reservation.upload_status = 'completed' and v_wanted = 'completed' then
    return langflix_add_video_id(v_reservation, p_youtube_video_id);
  end if;
  if v_reservation.upload_status = 'scheduled' then
    perform raise_refusal(limit_refusal(start_charges(v_reservation)));
    v_reservation := begin_attempt(v_reservation, null);
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', v_wanted));
  update reservation as r
  set
    upload_status = v_wanted,
    youtube_video_id = coalesce(p_youtube_video_id, r.youtube_video_id),
    lease_expires_at = null
  where r.reservation_id = v_reservation.reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function record_upload(text, text, text, text) is
  'Says that a video was uploaded, without a lease_token, and returns its reservation. Errors: SWARG SWCHN SWNFD SWSTA SWLIM 55P03 40001 40P01. Locks: the limit_day rows whose units it holds or moves, then the reservation.';

-- account_upload: an application that counts its uploads itself, such as
-- LangFlix, reports one. A booked upload has paid for itself already, so the
-- report is matched with a booking and recorded with 0 units; each attempt of a
-- booking is matched once. A report that no booking is left for is an upload
-- without a booking: its units are charged, as far as they fit into the day,
-- since YouTube has charged them whatever this day's maximum says.
--
--   p_type     video type of the upload
--   p_units    what an upload without a booking takes, 0 to 1,000,000,000
--   p_day      the day, in the zone of the channel or of the limit; null: today
--   p_channel  the channel
--
-- Returns the recorded usage, with a note of what it was matched with; a null
-- row, if uploads of the type charge no limit that counts at upload.
-- SQLSTATEs: SWARG SWCHN SWTYP, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the channel, then the limit_day row, until the transaction ends.
create function account_upload(
  p_type text,
  p_units integer default 1600,
  p_day date default null,
  p_channel text default 'default'
)
returns external_usage
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
  v_limit_id text;
  v_day date;
  v_note text;
  v_units integer := 0;
  v_state record;
  v_usage external_usage;
begin
  perform raise_refusal(argument_refusal(p_channel, p_type, null, null));
  if p_units is null or p_units not between 0 and 1000000000 then
    perform raise_refusal(invalid_argument('p_units', 'usage is 0 to 1,000,000,000 units'));
  end if;
  select l.limit_id into v_limit_id
  from langflix_limit as l
  where l.channel_id = p_channel and l.video_type = p_type and l.counted_at = 'upload';
  if not found then
    return null;
  end if;
  v_day := coalesce(p_day, limit_today(v_limit_id));
  perform raise_refusal(day_refusal('p_day', v_day));

  -- Two reports must not be matched with one booking.
  perform bound_lock_wait(v_deadline);
  perform from channel as c where c.channel_id = p_channel for no key update;
  perform lock_days(array[row(v_limit_id, null, v_day, 0)::charge], v_deadline);
  v_note := langflix_unreported_upload(p_channel, p_type, v_limit_id, v_day);
  if v_note is null then
    v_state := usage_of(v_limit_id, v_day);
    v_units := least(p_units, greatest(v_state.max_units - v_state.used_units, 0));
    v_note := format(
      'upload of a %s without a booking, of %s units', p_type, p_units
    ) || case when v_units < p_units then ', which did not fit' else '' end;
  end if;
  insert into external_usage (limit_id, day, units, note)
  values (v_limit_id, v_day, v_units, v_note)
  returning * into v_usage;
  return v_usage;
end;
$$;

comment on function account_upload(text, integer, date, text) is
  'Counts an upload that an application reports: 0 units if a booking has paid for it, else what fits; returns the record. Errors: SWARG SWCHN SWTYP 55P03 40001 40P01. Locks: the channel, then the limit_day row.';

-- langflix_settings: the settings of a channel that LangFlix's ScheduleConfig
-- speaks of, and others of their kind.
--
--   p_channel  the channel
--
-- Returns a row for each video type and limit that it charges (a type without
-- one has a row with nulls): video_type; limit_id, counted_at, units (that an
-- upload takes), max_units (a day), warn_percent; own (whether it is the limit
-- that LangFlix's interface shows for the type); and in each row the channel's
-- time_zone and posting_times of every day (texts such as 10:00, in order).
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function langflix_settings(p_channel text default 'default')
returns table (
  video_type text,
  limit_id text,
  counted_at text,
  units integer,
  max_units integer,
  warn_percent integer,
  own boolean,
  time_zone text,
  posting_times text[]
)
language plpgsql
stable
security definer
set search_path from current
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  return query
  select
    t.video_type,
    l.limit_id,
    l.counted_at,
    r.units,
    l.max_units,
    l.warn_percent::integer,
    exists (
      select from langflix_limit as o
      where o.channel_id = r.channel_id
        and o.video_type = r.video_type
        and o.limit_id = r.limit_id
    ),
    v_channel.time_zone,
    array(
      select to_char(p.local_time, 'HH24:MI')
      from posting_time as p
      where p.channel_id = v_channel.channel_id and p.iso_weekday is null
      order by p.local_time
    )
  from video_type as t
  left join charge_rule as r
    on r.channel_id = t.channel_id and r.video_type = t.video_type
  left join daily_limit as l on l.limit_id = r.limit_id
  where t.channel_id = v_channel.channel_id
  order by t.video_type, l.counted_at, l.limit_id;
end;
$$;

comment on function langflix_settings(text) is
  'The settings of a channel that LangFlix''s ScheduleConfig speaks of. Errors: SWARG SWCHN. Reads only.';

-- Who may do what. Nobody but the owner has rights on tables; the functions of
-- the API run with the owner's. PostgreSQL lets everybody execute a new
-- function, so that is taken back first, in the creating transaction.
do $roles$
declare
  v_booking text[] := array[
    'reserve_slot(date, text, time, text, text, text)',
    'reserve_slot_at(timestamptz, text, text, text, text)',
    'try_reserve_slot(date, text, time, text, text, text)',
    'reserve_next_slot(text, date, integer, text, text, boolean, text)',
    'reserve_slots(jsonb, boolean)',
    'cancel_reservation(bigint, integer)',
    'reschedule_reservation(bigint, date, time, integer, text)',
    'lock_day(date, text)',
    'start_upload(bigint, interval)',
    'complete_upload(bigint, uuid, text)',
    'fail_upload(bigint, uuid, text)',
    'retry_upload(bigint, date, time, integer, text)',
    'claim_due_uploads(integer, interval, text)',
    'record_usage(text, integer, date, text)',
    'record_upload(text, text, text, text)',
    'account_upload(text, integer, date, text)',
    'rebook_import_conflict(bigint, date, time, text, text)'
  ];
  v_reading text[] := array[
    'daily_status(date, text)',
    'calendar(date, integer, text)',
    'available_slots(text, date, integer, text, integer)',
    'usage_history(date, date, text, text)',
    'quota_warnings(date, integer, text, numeric)',
    'list_import_conflicts(text, boolean)',
    'langflix_settings(text)'
  ];
  v_admin text[] := array[
    'create_channel(text, text, interval, text[], text)',
    'set_channel(text, text, interval)',
    'add_video_type(text, text)',
    'set_daily_limit(text, integer, text, text, integer)',
    'override_day(text, date, integer)',
    'set_charge(text, text, integer, text)',
    'set_posting_times(time[], text, integer)',
    'add_blackout(timestamptz, timestamptz, text, text)',
    'remove_blackout(bigint)',
    'apply_quota_profile(text, text, text)',
    'recalculate_usage(date, date, boolean, boolean)',
    'import_langflix(jsonb, text, text, boolean)'
  ];
  v_views text[] := array['daily_usage', 'usage_drift', 'lock_waits'];
  v_langflix_views text[] := array['youtube_schedule', 'youtube_quota_usage'];
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
      v_langflix_views || case w.purpose when 'app' then '{}'::text[] else v_views end as views
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

-- What a downgrade kept of earlier imports.
insert into imported_reservation (reservation_id, source, source_id, imported_at, imported_by)
select c.reservation_id, c.source, c.row ->> 'imported as', c.created_at, c.created_by
from import_conflict as c
where c.row ? 'imported as' and c.reservation_id is not null;

delete from import_conflict as c where c.row ? 'imported as';
