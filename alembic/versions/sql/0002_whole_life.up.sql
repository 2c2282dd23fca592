-- Frozen: what this revision added to sql/.

-- Units that something else than a booking has used: other calls of the API,
-- uploads made by hand. Its trigger charges them.
create sequence external_usage_id_seq as bigint;

create table external_usage (
  external_usage_id bigint not null default nextval('external_usage_id_seq'),
  limit_id text not null,
  day date not null,
  units integer not null,
  note text,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint external_usage_pkey primary key (external_usage_id),
  constraint external_usage_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint external_usage_units_valid check (units between 0 and 1000000000),
  constraint external_usage_note_valid check (octet_length(note) <= 2000)
);

alter sequence external_usage_id_seq owned by external_usage.external_usage_id;

create index external_usage_day_idx on external_usage (limit_id, day);

comment on sequence external_usage_id_seq is 'Numbers external usages.';
comment on table external_usage is
  'Units of a limit that something else than a booking has used.';
comment on column external_usage.external_usage_id is 'Key of the usage.';
comment on column external_usage.limit_id is 'The limit.';
comment on column external_usage.day is 'Day in the limit''s zone.';
comment on column external_usage.units is
  'Units that it took; 0: they were charged by a booking already.';
comment on column external_usage.note is 'What used them.';
comment on column external_usage.created_at is 'When it was recorded.';
comment on column external_usage.created_by is 'Role that recorded it.';
comment on constraint external_usage_pkey on external_usage is 'One row a usage.';
comment on constraint external_usage_limit_fkey on external_usage is
  'Usage is of a limit that exists.';
comment on constraint external_usage_units_valid on external_usage is
  'The bounds of a charge.';
comment on constraint external_usage_note_valid on external_usage is
  'A note that can be shown.';
comment on index external_usage_day_idx is 'Finds what was recorded for a day.';

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

create function charge_external_usage()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if new.units > 0 then
    perform post_charges(
      null, null, array[row(new.limit_id, 'publish', new.day, new.units)::charge], 'external'
    );
  end if;
  return null;
end;
$$;

comment on function charge_external_usage() is
  'Trigger: posts external usage to the ledger.';

create trigger external_usage_charge
after insert on external_usage
for each row
execute function charge_external_usage();

comment on trigger external_usage_charge on external_usage is
  'What something else has used counts like a booking.';

create trigger external_usage_append_only
before update or delete or truncate on external_usage
for each statement
execute function refuse_write();

comment on trigger external_usage_append_only on external_usage is
  'What is spent stays spent.';

-- Who waits for whose lock on which day. A session that waits for a row holds,
-- or waits for, a lock on the row's place in its table, and that place leads
-- back to the day. A day that another session is only just creating has no place
-- yet: whoever waits for it is seen by what it is about to write.
create view lock_waits as
with waiting as (
  select l.pid, l.page, l.tuple
  from pg_locks as l
  where l.locktype = 'tuple'
    and l.database = (select b.oid from pg_database as b where b.datname = current_database())
    and l.relation = 'limit_day'::regclass
  union all
  select l.pid, null::integer as page, null::smallint as tuple
  from pg_locks as l
  where l.locktype = 'transactionid'
    and not l.granted
    and (
      select array_agg(distinct written.relation) = array['limit_day'::regclass::oid]
      from pg_locks as written
      join pg_class as c on c.oid = written.relation and c.relkind = 'r'
      where written.pid = l.pid
        and written.locktype in ('relation', 'tuple')
        and (written.mode = 'RowExclusiveLock' or written.locktype = 'tuple')
    )
    and not exists (
      select from pg_locks as place where place.pid = l.pid and place.locktype = 'tuple'
    )
)
select
  waiting.pid as waiting_pid,
  pg_blocking_pids(waiting.pid) as blocking_pids,
  d.limit_id,
  d.day,
  activity.usename::text as waiting_role,
  activity.application_name as waiting_application,
  activity.query_start as waiting_since
from waiting
left join limit_day as d
  on d.ctid = format('(%s,%s)', waiting.page, waiting.tuple)::tid
left join pg_stat_activity as activity on activity.pid = waiting.pid
where cardinality(pg_blocking_pids(waiting.pid)) > 0
  and (d.day is not null or waiting.page is null);

comment on view lock_waits is
  'Sessions that wait for the lock of a day, and the sessions that they wait for.';
comment on column lock_waits.waiting_pid is 'Process that waits.';
comment on column lock_waits.blocking_pids is
  'Processes that it waits for: the holder, and those before it in the queue.';
comment on column lock_waits.limit_id is
  'The limit; null: of a day that another session is creating.';
comment on column lock_waits.day is
  'Day in the limit''s zone; null: another session is creating it.';
comment on column lock_waits.waiting_role is 'Role of the waiting session.';
comment on column lock_waits.waiting_application is 'Its application_name.';
comment on column lock_waits.waiting_since is 'When its statement began; null for readers without pg_read_all_stats.';

create function horizon_refusal(p_from date, p_horizon_days integer)
returns refusal
language sql
immutable
return case
  when not isfinite(p_from) or p_from < '0001-01-03' or p_from > '9998-12-29'
    then invalid_argument('p_from', 'a day lies in the years 1 to 9998')
  when p_horizon_days is null or p_horizon_days not between 1 and 366
    then invalid_argument('p_horizon_days', 'a horizon has 1 to 366 days')
end;

comment on function horizon_refusal(date, integer) is
  'SWARG, if one cannot look for slots there; else null.';

-- Books the first free slot, or says why there is none. What is lost to a
-- booking that does not queue on the channel is passed over, as long as the
-- order of locks allows it.
create function book_next(
  p_channel channel,
  p_type text,
  p_from date,
  p_horizon_days integer,
  p_video text,
  p_append boolean,
  p_request_key text,
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
  v_first_day date;
  v_from timestamptz;
  v_last timestamptz;
  v_slot timestamptz;
  v_charges charge[];
  v_held charge[];
begin
  v_first_day := coalesce(p_from, (clock_now() at time zone p_channel.time_zone)::date);
  v_from := greatest(
    day_start(v_first_day, p_channel.time_zone) - interval '1 minute', clock_now()
  );
  if p_append then
    select max(r.scheduled_publish_time) into v_last
    from reservation as r
    where r.channel_id = p_channel.channel_id
      and r.upload_status in ('scheduled', 'uploading', 'completed');
    v_from := greatest(v_from, v_last);
  end if;

  loop
    select free.slot into v_slot
    from free_slots(
      p_channel, p_type, v_from,
      v_first_day + p_horizon_days - (v_from at time zone p_channel.time_zone)::date,
      1
    ) as free (slot);
    if v_slot is null then
      v_booking := replay(p_request_key, 'reserve_next_slot', p_arguments);
      if not is_settled(v_booking) then
        v_booking.refusal := row(
          'SWNON',
          format('no slot is free for a %L of channel %L from %s to %s',
            p_type, p_channel.channel_id, to_char(v_first_day, 'YYYY-MM-DD'),
            to_char(v_first_day + p_horizon_days - 1, 'YYYY-MM-DD')),
          jsonb_build_object(
            'channel', p_channel.channel_id, 'type', p_type,
            'from', to_char(v_first_day, 'YYYY-MM-DD'), 'horizon_days', p_horizon_days
          )
        )::refusal;
      end if;
      return v_booking;
    end if;
    v_charges := array(
      select c
      from charges_for(
        p_channel.channel_id, p_type, v_slot,
        upload_time_for(v_slot, p_channel.upload_lead, clock_now())
      ) as c
    );
    if exists (
      select from unnest(v_charges) as c
      where not exists (
          select from unnest(v_held) as h where h.limit_id = c.limit_id and h.day = c.day
        )
        and exists (
          select from unnest(v_held) as h where (h.day, h.limit_id) > (c.day, c.limit_id)
        )
    ) then
      raise exception 'the slots of channel % changed meanwhile', quote_literal(p_channel.channel_id)
        using errcode = 'serialization_failure',
          hint = 'Try the transaction again.';
    end if;
    v_booking := book(
      p_channel, p_type, v_slot, p_video, p_request_key,
      'reserve_next_slot', p_arguments, p_deadline
    );
    if (v_booking.refusal).code is null
      or (v_booking.refusal).code not in ('SWPST', 'SWBLK', 'SWTKN', 'SWLIM')
    then
      return v_booking;
    end if;
    v_held := v_held || v_charges;
  end loop;
end;
$$;

comment on function book_next(channel, text, date, integer, text, boolean, text, jsonb, timestamptz) is
  'Books the first free slot of a span of days, or says why there is none; 55P03, 40001.';

create function move_step(
  p_refusal refusal,
  p_reservation_id bigint,
  p_date date,
  p_time time
)
returns text
language sql
stable
begin atomic
  select next_step(
    (p_refusal).code, r.channel_id, r.video_type, (p_date + p_time) at time zone c.time_zone
  )
  from reservation as r
  join channel as c on c.channel_id = r.channel_id
  where r.reservation_id = p_reservation_id;
end;

comment on function move_step(refusal, bigint, date, time) is
  'What to do after a move was refused, for its HINT.';

-- Gives a reservation another slot: the common part of reschedule_reservation
-- (scheduled) and retry_upload (failed). As in book, one looks before the locks
-- and again under them, and looks a key up before every refusal.
create function move_reservation(
  p_function text,
  p_needed_status text,
  p_reservation_id bigint,
  p_date date,
  p_time time,
  p_expected_version integer,
  p_request_key text
)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_seen reservation := require_reservation(p_reservation_id);
  v_channel channel;
  v_publish_time timestamptz;
  v_arguments jsonb;
  v_booking booking;
  v_replayed booking;
  v_reservation reservation;
  v_charges charge[];
begin
  v_booking.refusal := coalesce(
    local_time_refusal(p_date, p_time),
    argument_refusal(v_seen.channel_id, v_seen.video_type, null, p_request_key)
  );
  if (v_booking.refusal).code is not null then
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = v_seen.channel_id;
  v_publish_time := local_instant(p_date + p_time, v_channel.time_zone);
  if v_publish_time is null then
    v_booking.refusal := clock_gap_refusal(p_date + p_time, v_channel.time_zone);
    return v_booking;
  end if;
  v_arguments := jsonb_build_object(
    'reservation_id', p_reservation_id, 'date', to_char(p_date, 'YYYY-MM-DD'),
    'time', to_char(p_time, 'HH24:MI'), 'expected_version', p_expected_version
  );

  for v_look in 1 .. 2 loop
    v_replayed := replay(p_request_key, p_function, v_arguments);
    if is_settled(v_replayed) then
      return v_replayed;
    end if;
    v_charges := array(
      select c
      from charges_for(
        v_seen.channel_id, v_seen.video_type, v_publish_time,
        upload_time_for(v_publish_time, v_channel.upload_lead, clock_now())
      ) as c
    );
    if v_look = 2 then
      v_seen := lock_reservation(v_seen, v_charges, v_deadline, p_request_key);
      v_replayed := replay(p_request_key, p_function, v_arguments);
      if is_settled(v_replayed) then
        return v_replayed;
      end if;
      perform require_same_rules(v_channel, v_seen.video_type, v_publish_time, v_charges);
    end if;
    v_booking.refusal := coalesce(
      status_refusal(v_seen, p_needed_status, 'scheduled'),
      version_refusal(v_seen, p_expected_version),
      case
        when v_seen.upload_status = 'scheduled'
          and v_seen.scheduled_publish_time = v_publish_time then null::refusal
        else slot_refusal(
          v_channel, v_publish_time, v_seen.video_path,
          net_charges(v_charges, array(
            select h from charges_held(p_reservation_id, v_seen.attempt) as h
            where v_seen.upload_status = 'scheduled'
          )),
          p_reservation_id
        )
      end
    );
    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, v_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;
  end loop;

  if p_request_key is not null then
    insert into request (request_key, function, arguments, reservation_id)
    values (p_request_key, p_function, v_arguments, p_reservation_id)
    on conflict do nothing;
    if not found then
      return replay(p_request_key, p_function, v_arguments);
    end if;
  end if;
  if v_seen.upload_status = 'scheduled' and v_seen.scheduled_publish_time = v_publish_time then
    v_booking.reservation := v_seen;
    return v_booking;
  end if;
  -- Somebody who shares no limit with this reservation may take the slot in
  -- this moment; an update has no "on conflict".
  begin
    perform bound_lock_wait(v_deadline, 2);
    update reservation as r
    set
      scheduled_publish_time = v_publish_time,
      upload_status = 'scheduled',
      attempt = r.attempt + case r.upload_status when 'failed' then 1 else 0 end,
      lease_token = case r.upload_status when 'failed' then null else r.lease_token end,
      lease_expires_at = null
    where r.reservation_id = p_reservation_id
    returning r.* into v_reservation;
  exception
    when unique_violation then
      delete from request where request_key = p_request_key;
      v_booking.refusal := slot_refusal(
        v_channel, v_publish_time, v_seen.video_path, '{}', p_reservation_id
      );
      if (v_booking.refusal).code is null then
        -- Gone again, or hidden from this transaction's snapshot.
        raise exception 'slot % was taken meanwhile',
          local_text(v_publish_time, v_channel.time_zone)
          using errcode = 'serialization_failure',
            hint = 'Try the transaction again.';
      end if;
      return v_booking;
  end;
  v_booking.reservation := v_reservation;
  return v_booking;
end;
$$;

comment on function move_reservation(text, text, bigint, date, time, integer, text) is
  'Gives a scheduled or failed reservation another slot, or says why not; SWNFD, 55P03, 40001.';

create function lease_refusal(p_lease interval)
returns refusal
language sql
immutable
return case
  when p_lease <= '0' or p_lease > '366 days'
    then invalid_argument('p_lease', 'a lease lasts longer than 0 and up to 366 days')
end;

comment on function lease_refusal(interval) is
  'SWARG, if an upload cannot be leased that long; else null.';

-- What beginning an upload now would charge: nothing within its day; a move of
-- the upload's units, if it was planned for another; a new attempt, if the
-- lease of the last one has run out.
create function start_charges(p_reservation reservation)
returns charge[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_started reservation := p_reservation;
begin
  v_started.upload_time := clock_now();
  if p_reservation.upload_status = 'uploading' then
    v_started.attempt := p_reservation.attempt + 1;
  end if;
  v_started.upload_status := 'uploading';
  return reservation_charges(p_reservation, v_started);
end;
$$;

comment on function start_charges(reservation) is
  'The net charges of beginning an upload now, ordered by day and limit.';

create function begin_attempt(p_reservation reservation, p_lease interval)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
declare
  v_now timestamptz := clock_now();
  v_reservation reservation;
begin
  update reservation as r
  set
    upload_status = 'uploading',
    attempt = r.attempt + case r.upload_status when 'uploading' then 1 else 0 end,
    upload_time = v_now,
    lease_token = gen_random_uuid(),
    lease_expires_at = v_now + make_interval(secs => extract(epoch from p_lease)::float8),
    error_message = null
  where r.reservation_id = p_reservation.reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function begin_attempt(reservation, interval) is
  'Sets a locked reservation uploading, with a new token and lease.';

create function is_due(p_reservation reservation)
returns boolean
language sql
volatile
return case (p_reservation).upload_status
  when 'scheduled' then (p_reservation).upload_time <= clock_now()
  when 'uploading' then (p_reservation).lease_expires_at <= clock_now()
  else false
end;

comment on function is_due(reservation) is
  'Whether an upload may be claimed: its time has come, or its lease has run out.';

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

create function token_refusal(p_token uuid)
returns refusal
language sql
immutable
return case
  when p_token is null
    then invalid_argument('p_token', 'the lease_token of the attempt is needed')
end;

comment on function token_refusal(uuid) is 'SWARG, if there is no token; else null.';

create function dead_token_refusal(p_reservation reservation, p_token uuid)
returns refusal
language sql
immutable
return case
  when (p_reservation).lease_token is distinct from p_token then row(
    'SWSTA',
    format('the token is not that of attempt %s of reservation %s: another worker has the upload',
      (p_reservation).attempt, (p_reservation).reservation_id),
    jsonb_build_object(
      'reservation_id', (p_reservation).reservation_id,
      'status', (p_reservation).upload_status,
      'attempt', (p_reservation).attempt
    )
  )::refusal
end;

comment on function dead_token_refusal(reservation, uuid) is
  'SWSTA, if a worker has lost its lease to another; else null.';

create function parsed_instant(p_text text)
returns timestamptz
language plpgsql
immutable
set search_path from current
set datestyle = 'ISO, YMD'
as $$
begin
  if p_text !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d(:?\d\d)?)$' then
    return null;
  end if;
  return p_text::timestamptz;
exception
  when datetime_field_overflow or invalid_datetime_format
    or invalid_time_zone_displacement_value then return null;
end;
$$;

comment on function parsed_instant(text) is
  'An instant in ISO 8601 with its offset; null: the text is none.';

create function parsed_local_time(p_date text, p_time text)
returns timestamp
language plpgsql
immutable
set search_path from current
set datestyle = 'ISO, YMD'
as $$
begin
  if p_date !~ '^\d{4}-\d\d-\d\d$' or p_time !~ '^([01]\d|2[0-3]):[0-5]\d(:00)?$' then
    return null;
  end if;
  return p_date::date + p_time::time;
exception
  when datetime_field_overflow or invalid_datetime_format then return null;
end;
$$;

comment on function parsed_local_time(text, text) is
  'A date YYYY-MM-DD and a time HH:MM; null: the texts are none.';

-- Reads one item of a batch. JSON has no types for dates and times, and
-- PostgreSQL drops an offset from a time without a word, so the texts are held
-- to their forms first.
create function booking_wish_of(p_item integer, p_request jsonb)
returns booking_wish
language plpgsql
volatile
set search_path from current
as $$
declare
  v_wish booking_wish;
  v_unknown text;
  v_channel channel;
begin
  v_wish.item := p_item;
  if jsonb_typeof(p_request) <> 'object' then
    v_wish.refusal := invalid_argument('p_requests', 'an item of a batch is a JSON object');
    return v_wish;
  end if;
  select e.key into v_unknown
  from jsonb_each(p_request) as e
  where e.key not in
      ('date', 'time', 'publish_time', 'type', 'video', 'channel', 'request_key')
    or jsonb_typeof(e.value) not in ('string', 'null')
  order by e.key
  limit 1;
  if found then
    v_wish.refusal := invalid_argument(
      'p_requests', format('%L is no field of an item, or its value is not a text', left(v_unknown, 100))
    );
    return v_wish;
  end if;

  v_wish.channel_id := coalesce(p_request ->> 'channel', 'default');
  v_wish.video_type := p_request ->> 'type';
  v_wish.video_path := p_request ->> 'video';
  v_wish.request_key := p_request ->> 'request_key';
  v_wish.refusal := argument_refusal(
    v_wish.channel_id, v_wish.video_type, v_wish.video_path, v_wish.request_key
  );
  if (v_wish.refusal).code is not null then
    return v_wish;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = v_wish.channel_id;

  if p_request ->> 'publish_time' is not null
    and p_request ->> 'date' is null and p_request ->> 'time' is null
  then
    v_wish.publish_time := parsed_instant(p_request ->> 'publish_time');
    v_wish.refusal := publish_time_refusal(v_wish.publish_time);
  elsif p_request ->> 'publish_time' is null then
    v_wish.local_time := parsed_local_time(p_request ->> 'date', p_request ->> 'time');
    if v_wish.local_time is null then
      v_wish.refusal := invalid_argument(
        'p_requests', 'an item has a date as YYYY-MM-DD and a time as HH:MM, or a publish_time'
      );
    elsif (day_refusal('p_requests', v_wish.local_time::date)).code is not null then
      v_wish.refusal := day_refusal('p_requests', v_wish.local_time::date);
    else
      v_wish.publish_time := local_instant(v_wish.local_time, v_channel.time_zone);
      if v_wish.publish_time is null then
        v_wish.refusal := clock_gap_refusal(v_wish.local_time, v_channel.time_zone);
      end if;
    end if;
  else
    v_wish.refusal := invalid_argument(
      'p_requests', 'an item has a date and a time, or a publish_time, not both'
    );
  end if;
  -- What the item means, so that a repeated one may be written otherwise.
  v_wish.arguments := jsonb_build_object(
    'channel', v_wish.channel_id,
    'type', v_wish.video_type,
    'video', v_wish.video_path,
    'local_time', to_char(v_wish.local_time, 'YYYY-MM-DD HH24:MI'),
    'publish_time', case when v_wish.local_time is null then utc_text(v_wish.publish_time) end
  );
  return v_wish;
end;
$$;

comment on function booking_wish_of(integer, jsonb) is
  'One item of a batch, with its publish time or with what is wrong with it.';

create function book_wish(p_wish booking_wish, p_deadline timestamptz)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_booking booking;
  v_channel channel;
begin
  if (p_wish.refusal).code is not null then
    v_booking.refusal := p_wish.refusal;
    return v_booking;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_wish.channel_id;
  return book(
    v_channel, p_wish.video_type, p_wish.publish_time, p_wish.video_path,
    p_wish.request_key, 'reserve_slots', p_wish.arguments, p_deadline
  );
end;
$$;

comment on function book_wish(booking_wish, timestamptz) is
  'Books one item of a batch, or says why not; 55P03, 40001.';

-- Today, for a limit: in its zone, or in that of the channels that charge it.
create function limit_today(p_limit text)
returns date
language plpgsql
stable
set search_path from current
as $$
begin
  return (
    select (clock_now() at time zone coalesce(
      l.time_zone,
      (
        select c.time_zone
        from charge_rule as r
        join channel as c on c.channel_id = r.channel_id
        where r.limit_id = l.limit_id
        limit 1
      ),
      'UTC'
    ))::date
    from daily_limit as l
    where l.limit_id = p_limit
  );
end;
$$;

comment on function limit_today(text) is 'The present day of a limit, in its zone.';

-- reserve_next_slot: finds and books the next free slot of a channel.
--
-- Of each day its posting times come first, then the full hours from 09:00 to
-- 21:00, then the next day; gaps are filled. Callers of one channel queue on
-- the channel's row, so each sees what those before it have booked, and gets a
-- slot of its own, in order. A slot that is lost to another booking meanwhile
-- is passed over.
--
--   p_type          video type, one that the channel defines
--   p_from          first day on the channel's wall clock; null: today
--   p_horizon_days  days to look at, 1 to 366, p_from included
--   p_video         the video (path or id), at most one live booking a channel
--   p_channel       the channel
--   p_append        only after the channel's last booking; false: fill gaps
--   p_request_key   a call that is repeated under its key books nothing twice
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWCHN SWTYP SWKEY SWDUP, SWNON (nothing free within the
-- horizon), 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the channel (against its other calls of this function), then the
-- limit_day rows that the booking charges, until the transaction ends.
create function reserve_next_slot(
  p_type text,
  p_from date default null,
  p_horizon_days integer default 14,
  p_video text default null,
  p_channel text default 'default',
  p_append boolean default false,
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
  v_refusal refusal;
  v_channel channel;
  v_arguments jsonb;
  v_booking booking;
  v_hint text;
begin
  v_refusal := argument_refusal(p_channel, p_type, p_video, p_request_key);
  v_hint := next_step(v_refusal.code, p_channel, p_type, null);
  perform raise_refusal(v_refusal, v_hint);
  perform raise_refusal(horizon_refusal(p_from, p_horizon_days));
  select c.* into v_channel from channel as c where c.channel_id = p_channel;

  v_arguments := jsonb_build_object(
    'type', p_type, 'from', to_char(p_from, 'YYYY-MM-DD'), 'horizon_days', p_horizon_days,
    'video', p_video, 'channel', p_channel, 'append', coalesce(p_append, false)
  );
  v_booking := replay(p_request_key, 'reserve_next_slot', v_arguments);
  if not is_settled(v_booking) then
    perform bound_lock_wait(v_deadline);
    select c.* into v_channel
    from channel as c
    where c.channel_id = p_channel
    for no key update;
    v_booking := book_next(
      v_channel, p_type, p_from, p_horizon_days, p_video, coalesce(p_append, false),
      p_request_key, v_arguments, v_deadline
    );
  end if;
  if (v_booking.refusal).code is not null then
    v_hint := next_step((v_booking.refusal).code, p_channel, p_type, null);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reserve_next_slot(text, date, integer, text, text, boolean, text) is
  'Finds and books the next free slot of a channel and returns the reservation. Errors: SWARG SWCHN SWTYP SWKEY SWDUP SWNON 55P03 40001 40P01. Locks: the channel, then the limit_day rows that it charges.';

-- reserve_slots: books a batch in one round trip. The days of all items are
-- locked first, in order; items are decided in order of their publish times.
--
--   p_requests        a JSON array of at most 1,000 objects:
--                     type, and date with time (local), or publish_time (an
--                     instant with its offset); optional: video, channel,
--                     request_key
--   p_all_or_nothing  true: the first refusal is raised, and nothing is booked;
--                     false: each item is booked or refused by itself
--
-- Returns a row for each item, in the order given:
--   item         its place, from 1
--   outcome      reserved, or the SQLSTATE of its refusal
--   reservation  the reservation, if reserved
--   message      why not, for a person
--   detail       why not, for a program
-- SQLSTATEs: SWARG (not such an array); with p_all_or_nothing those of
-- reserve_slot, with the item in DETAIL; 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that the items charge, until the transaction ends.
create function reserve_slots(p_requests jsonb, p_all_or_nothing boolean default true)
returns table (
  item integer,
  outcome text,
  reservation reservation,
  message text,
  detail jsonb
)
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
  v_wishes booking_wish[];
  v_wish booking_wish;
  v_booking booking;
  v_bookings booking[] := '{}';
  v_hint text;
begin
  if p_requests is null or jsonb_typeof(p_requests) <> 'array'
    or jsonb_array_length(p_requests) > 1000
  then
    perform raise_refusal(
      invalid_argument('p_requests', 'a batch is a JSON array of at most 1,000 objects')
    );
  end if;
  v_wishes := array(
    select booking_wish_of(r.ordinality::integer, r.request)
    from jsonb_array_elements(p_requests) with ordinality as r (request, ordinality)
  );
  perform lock_days(
    sorted_charges(array(
      select c
      from unnest(v_wishes) as w
      join channel as h on h.channel_id = w.channel_id
      cross join lateral charges_for(
        w.channel_id, w.video_type, w.publish_time,
        upload_time_for(w.publish_time, h.upload_lead, clock_now())
      ) as c
      where (w.refusal).code is null and w.publish_time > clock_now()
    )),
    v_deadline
  );

  for v_wish in
    select w.* from unnest(v_wishes) as w order by w.publish_time, w.item
  loop
    v_booking := book_wish(v_wish, v_deadline);
    if coalesce(p_all_or_nothing, true) and (v_booking.refusal).code is not null then
      v_booking.refusal.message :=
        format('item %s: %s', v_wish.item, (v_booking.refusal).message);
      v_booking.refusal.detail :=
        (v_booking.refusal).detail || jsonb_build_object('item', v_wish.item);
      v_hint := next_step(
        (v_booking.refusal).code, v_wish.channel_id, v_wish.video_type, v_wish.publish_time
      );
      perform raise_refusal(v_booking.refusal, v_hint);
    end if;
    v_bookings[v_wish.item] := v_booking;
  end loop;
  return query
  select
    w.item,
    coalesce((v_bookings[w.item].refusal).code, 'reserved'),
    v_bookings[w.item].reservation,
    (v_bookings[w.item].refusal).message,
    (v_bookings[w.item].refusal).detail
  from unnest(v_wishes) as w
  order by w.item;
end;
$$;

comment on function reserve_slots(jsonb, boolean) is
  'Books a batch, all or nothing or item by item, and returns a result for each item. Errors: SWARG; all or nothing also those of reserve_slot; 55P03 40001 40P01. Locks: the limit_day rows that the items charge.';

-- reschedule_reservation: moves a booking to another local time of its
-- channel. Old and new day are locked in order and charged as one net change,
-- so a move within a full day passes.
--
--   p_reservation_id    the reservation
--   p_date, p_time      the new slot on the channel's wall clock
--   p_expected_version  the version that the caller has seen; null: any
--   p_request_key       a call that is repeated under its key moves nothing twice
--
-- Returns the reservation; unchanged, if it is there already.
-- SQLSTATEs: SWARG SWNFD SWGAP SWKEY SWSTA (its upload was started) SWVER
-- SWPST SWBLK SWTKN SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows of both slots, then the reservation.
create function reschedule_reservation(
  p_reservation_id bigint,
  p_date date,
  p_time time,
  p_expected_version integer default null,
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
  v_booking booking := move_reservation(
    'reschedule_reservation', 'scheduled',
    p_reservation_id, p_date, p_time, p_expected_version, p_request_key
  );
  v_hint text;
begin
  if (v_booking.refusal).code is not null then
    v_hint := move_step(v_booking.refusal, p_reservation_id, p_date, p_time);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function reschedule_reservation(bigint, date, time, integer, text) is
  'Moves a booking to another local time of its channel and returns it. Errors: SWARG SWNFD SWGAP SWKEY SWSTA SWVER SWPST SWBLK SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows of both slots, then the reservation.';

-- lock_day: holds a day of a channel until the transaction ends, so that what
-- is read of it stays true: nobody books, cancels or changes a maximum there.
--
--   p_day      day, for each limit of the channel in its own zone
--   p_channel  the channel
--
-- Returns what daily_status returns, read under the locks.
-- SQLSTATEs: SWARG SWCHN, 55P03 after 5 s of waiting, 40P01.
-- Locks: the limit_day rows of that day.
create function lock_day(p_day date, p_channel text default 'default')
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
begin
  perform raise_refusal(day_refusal('p_day', p_day));
  perform lock_days(
    array(
      select distinct row(r.limit_id, null, p_day, 0)::charge as c
      from charge_rule as r
      where r.channel_id = v_channel.channel_id
      order by c
    ),
    v_deadline
  );
  return query select u.* from channel_usage(v_channel, p_day, 0) as u;
end;
$$;

comment on function lock_day(date, text) is
  'Holds a day of a channel until the transaction ends and returns its status. Errors: SWARG SWCHN 55P03 40P01. Locks: the limit_day rows of that day.';

-- start_upload: a video's upload begins now. Units that count at upload move
-- to today, if they were planned for another day; if they do not fit there, it
-- is refused and stays scheduled.
--
--   p_reservation_id  the reservation, scheduled
--   p_lease           how long the worker may take before claim_due_uploads
--                     gives the upload to another; null: for ever
--
-- Returns the reservation with its lease_token, which complete_upload and
-- fail_upload ask for.
-- SQLSTATEs: SWARG SWNFD SWSTA SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows whose units it holds or moves, then the reservation.
create function start_upload(p_reservation_id bigint, p_lease interval default null)
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
  v_seen reservation := require_reservation(p_reservation_id);
  v_reservation reservation;
begin
  perform raise_refusal(lease_refusal(p_lease));
  perform raise_refusal(status_refusal(v_seen, 'scheduled', 'uploading'));
  v_reservation := lock_reservation(v_seen, start_charges(v_seen), v_deadline);
  perform raise_refusal(status_refusal(v_reservation, 'scheduled', 'uploading'));
  perform raise_refusal(limit_refusal(start_charges(v_reservation)));
  return begin_attempt(v_reservation, p_lease);
end;
$$;

comment on function start_upload(bigint, interval) is
  'Begins the upload of a scheduled reservation and returns it with its lease_token. Errors: SWARG SWNFD SWSTA SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it moves units between, then the reservation.';

-- claim_due_uploads: gives a worker the next uploads that are due: scheduled
-- ones whose upload time has come, and those whose worker let its lease run
-- out (a new attempt, charged again; the old token is dead). Rows that another
-- worker is claiming are skipped. What does not fit into its day stays where
-- it is, for a later call.
--
--   p_count    how many at most, 1 to 1000
--   p_lease    how long the worker may take
--   p_channel  only this channel's; null: any
--
-- Returns the reservations, each with its lease_token, in order of upload time.
-- SQLSTATEs: SWARG SWCHN, 55P03 after 5 s of waiting, 40P01.
-- Locks: limit_day rows that charges move between (none within the day), then
-- the reservations that it returns.
create function claim_due_uploads(
  p_count integer default 1,
  p_lease interval default '15 minutes',
  p_channel text default null
)
returns setof reservation
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
  v_seen bigint[] := '{}';
  v_round bigint[];
  v_id bigint;
  v_locked charge[];
  v_charges charge[];
  v_reservation reservation;
  v_claimed integer := 0;
begin
  if p_count is null or p_count not between 1 and 1000 then
    perform raise_refusal(invalid_argument('p_count', 'one can claim 1 to 1000 uploads'));
  end if;
  if p_lease is null then
    perform raise_refusal(invalid_argument('p_lease', 'a lease is needed'));
  end if;
  perform raise_refusal(lease_refusal(p_lease));
  if p_channel is not null then
    perform require_channel(p_channel);
  end if;

  while v_claimed < p_count loop
    v_round := due_uploads(p_channel, v_seen, p_count - v_claimed);
    exit when cardinality(v_round) = 0;
    v_seen := v_seen || v_round;
    -- Days come before reservations in the order of locks, so only the first
    -- round may wait for days; later ones take what needs no others.
    if v_locked is null then
      v_locked := array(
        select c
        from reservation as r
        cross join unnest(start_charges(r)) as c
        where r.reservation_id = any (v_round)
        order by c.day, c.limit_id
      );
      perform lock_days(v_locked, v_deadline);
    end if;
    foreach v_id in array v_round loop
      select r.* into v_reservation
      from reservation as r
      where r.reservation_id = v_id and is_due(r)
      for update skip locked;
      continue when not found;
      v_charges := start_charges(v_reservation);
      continue when exists (
        select from unnest(v_charges) as c
        where not exists (
          select from unnest(v_locked) as l
          where l.limit_id = c.limit_id and l.day = c.day
        )
      );
      continue when (limit_refusal(v_charges)).code is not null;
      v_claimed := v_claimed + 1;
      return next begin_attempt(v_reservation, p_lease);
    end loop;
  end loop;
end;
$$;

comment on function claim_due_uploads(integer, interval, text) is
  'Gives a worker the next due uploads, skipping those that another claims; returns them with their lease_token. Errors: SWARG SWCHN 55P03 40P01. Locks: limit_day rows that charges move between, then the reservations.';

-- complete_upload: the worker has uploaded the video. Asking again with the
-- same token and id changes nothing.
--
--   p_reservation_id    the reservation, uploading
--   p_token             the lease_token of this attempt; another worker may
--                       have been given the upload since
--   p_youtube_video_id  the id that YouTube gave it; null: not known
--
-- Returns the reservation. It keeps what it was charged.
-- SQLSTATEs: SWARG SWNFD, SWSTA (not uploading, or the token is dead), 55P03.
-- Locks: the reservation.
create function complete_upload(
  p_reservation_id bigint,
  p_token uuid,
  p_youtube_video_id text default null
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
  v_reservation reservation := require_reservation(p_reservation_id);
begin
  perform raise_refusal(token_refusal(p_token));
  if p_youtube_video_id = '' or octet_length(p_youtube_video_id) > 200 then
    perform raise_refusal(
      invalid_argument('p_youtube_video_id', 'a video id has 1 to 200 bytes, or is null')
    );
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id
  for update;
  if v_reservation.upload_status = 'completed'
    and v_reservation.lease_token = p_token
    and v_reservation.youtube_video_id is not distinct from p_youtube_video_id
  then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', 'completed'));
  perform raise_refusal(dead_token_refusal(v_reservation, p_token));
  update reservation as r
  set
    upload_status = 'completed',
    youtube_video_id = p_youtube_video_id,
    lease_expires_at = null
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function complete_upload(bigint, uuid, text) is
  'Ends an upload well, for the worker that holds its token, and returns the reservation. Errors: SWARG SWNFD SWSTA 55P03. Locks: the reservation.';

-- fail_upload: the upload came to nothing. The slot and its posting limits are
-- given back; units that count at upload stay spent, since YouTube charges a
-- failed call as well. Asking again with the same token changes nothing.
--
--   p_reservation_id  the reservation, uploading
--   p_token           the lease_token of this attempt
--   p_error_message   what went wrong, of which the first 2,500 characters are kept
--
-- Returns the reservation; retry_upload books it a new slot.
-- SQLSTATEs: SWARG SWNFD, SWSTA (not uploading, or the token is dead), 55P03
-- after 5 s of waiting, 40P01.
-- Locks: the limit_day rows whose units it holds, then the reservation.
create function fail_upload(
  p_reservation_id bigint,
  p_token uuid,
  p_error_message text default null
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
  perform raise_refusal(token_refusal(p_token));
  v_reservation := lock_reservation(v_reservation, null, v_deadline);
  if v_reservation.upload_status = 'failed' and v_reservation.lease_token = p_token then
    return v_reservation;
  end if;
  perform raise_refusal(status_refusal(v_reservation, 'uploading', 'failed'));
  perform raise_refusal(dead_token_refusal(v_reservation, p_token));
  update reservation as r
  set
    upload_status = 'failed',
    error_message = left(p_error_message, 2500),
    lease_expires_at = null
  where r.reservation_id = p_reservation_id
  returning r.* into v_reservation;
  return v_reservation;
end;
$$;

comment on function fail_upload(bigint, uuid, text) is
  'Ends an upload that came to nothing, for the worker that holds its token, and returns the reservation. Errors: SWARG SWNFD SWSTA 55P03 40P01. Locks: the limit_day rows whose units it holds, then the reservation.';

-- retry_upload: books a new slot for a video whose upload failed, as a new
-- attempt, which is charged in full: what the failed one spent stays spent.
--
--   p_reservation_id    the reservation, failed
--   p_date, p_time      the new slot on the channel's wall clock
--   p_expected_version  the version that the caller has seen; null: any
--   p_request_key       a call that is repeated under its key books nothing twice
--
-- Returns the reservation, scheduled again.
-- SQLSTATEs: SWARG SWNFD SWGAP SWKEY SWSTA (it has not failed) SWVER SWPST
-- SWBLK SWDUP SWTKN SWLIM, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that it charges, then the reservation.
create function retry_upload(
  p_reservation_id bigint,
  p_date date,
  p_time time,
  p_expected_version integer default null,
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
  v_booking booking := move_reservation(
    'retry_upload', 'failed',
    p_reservation_id, p_date, p_time, p_expected_version, p_request_key
  );
  v_hint text;
begin
  if (v_booking.refusal).code is not null then
    v_hint := move_step(v_booking.refusal, p_reservation_id, p_date, p_time);
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;

comment on function retry_upload(bigint, date, time, integer, text) is
  'Books a new slot for a failed upload, as a new attempt, and returns it. Errors: SWARG SWNFD SWGAP SWKEY SWSTA SWVER SWPST SWBLK SWDUP SWTKN SWLIM 55P03 40001 40P01. Locks: the limit_day rows that it charges, then the reservation.';

-- record_usage: counts units that something else than a booking has used of a
-- limit, such as other calls of YouTube's API, or an upload made by hand.
--
--   p_limit  the limit
--   p_units  units, 0 to 1,000,000,000
--   p_day    day in the limit's zone; null: today
--   p_note   what used them
--
-- Returns the recorded usage.
-- SQLSTATEs: SWARG, SWLIM (they would pass the maximum: nothing is recorded),
-- 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day row, until the transaction ends.
create function record_usage(
  p_limit text,
  p_units integer,
  p_day date default null,
  p_note text default null
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
  v_day date := coalesce(p_day, limit_today(p_limit));
  v_charges charge[] := array(
    select row(l.limit_id, l.counted_at, v_day, p_units)::charge
    from daily_limit as l
    where l.limit_id = p_limit
  );
  v_usage external_usage;
begin
  perform raise_refusal(limit_name_refusal(p_limit));
  if p_units is null or p_units not between 0 and 1000000000 then
    perform raise_refusal(invalid_argument('p_units', 'usage is 0 to 1,000,000,000 units'));
  end if;
  if octet_length(p_note) > 2000 then
    perform raise_refusal(invalid_argument('p_note', 'a note has at most 2,000 bytes'));
  end if;
  perform raise_refusal(day_refusal('p_day', v_day));
  perform lock_days(v_charges, v_deadline);
  perform raise_refusal(limit_refusal(v_charges));
  insert into external_usage (limit_id, day, units, note)
  values (p_limit, v_day, p_units, p_note)
  returning * into v_usage;
  return v_usage;
end;
$$;

comment on function record_usage(text, integer, date, text) is
  'Counts units that something else than a booking has used of a limit, and returns the record. Errors: SWARG SWLIM 55P03 40001 40P01. Locks: the limit_day row.';

-- available_slots: the slots that could be booked now, in the order in which
-- reserve_next_slot would take them. Each is free by itself; booking one may
-- use up a limit of the next.
--
--   p_type          video type, one that the channel defines
--   p_from          first day on the channel's wall clock; null: today
--   p_count         how many, 1 to 1000
--   p_channel       the channel
--   p_horizon_days  days to look at, 1 to 366, p_from included
--
-- Returns a row for each slot: day and local_time on the channel's wall clock,
-- publish_time as an instant, time_zone.
-- SQLSTATEs: SWARG SWCHN SWTYP. Locks: none; writes nothing.
create function available_slots(
  p_type text,
  p_from date default null,
  p_count integer default 10,
  p_channel text default 'default',
  p_horizon_days integer default 14
)
returns table (day date, local_time time, publish_time timestamptz, time_zone text)
language plpgsql
stable
security definer
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_refusal refusal := argument_refusal(p_channel, p_type, null, null);
  v_hint text := next_step(v_refusal.code, p_channel, p_type, null);
  v_channel channel;
  v_first_day date;
begin
  perform raise_refusal(v_refusal, v_hint);
  perform raise_refusal(horizon_refusal(p_from, p_horizon_days));
  if p_count is null or p_count not between 1 and 1000 then
    perform raise_refusal(invalid_argument('p_count', 'one can ask for 1 to 1000 slots'));
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_first_day := coalesce(p_from, (clock_now() at time zone v_channel.time_zone)::date);
  return query
  select
    (free.slot at time zone v_channel.time_zone)::date,
    (free.slot at time zone v_channel.time_zone)::time,
    free.slot,
    v_channel.time_zone
  from free_slots(
    v_channel, p_type,
    greatest(day_start(v_first_day, v_channel.time_zone) - interval '1 minute', clock_now()),
    v_first_day + p_horizon_days - greatest(
      v_first_day, (clock_now() at time zone v_channel.time_zone)::date
    ),
    p_count
  ) as free (slot);
end;
$$;

comment on function available_slots(text, date, integer, text, integer) is
  'The next free slots of a channel, in the order in which they would be booked. Errors: SWARG SWCHN SWTYP. Reads only.';

-- usage_history: what a channel used of its limits, day by day.
--
--   p_from, p_to  first and last day, at most 3,660; null: the last 30 days
--   p_channel     the channel
--   p_limit       only this limit; null: all that the channel charges
--
-- Returns a row for each limit and day that was ever booked or overridden,
-- latest first: limit_id, counted_at, day, used_units, max_units, used_percent,
-- overridden, version.
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function usage_history(
  p_from date default null,
  p_to date default null,
  p_channel text default 'default',
  p_limit text default null
)
returns table (
  limit_id text,
  counted_at text,
  day date,
  used_units integer,
  max_units integer,
  used_percent numeric,
  overridden boolean,
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
  v_to date := coalesce(p_to, (clock_now() at time zone v_channel.time_zone)::date);
  v_from date := coalesce(p_from, v_to - 29);
begin
  perform raise_refusal(day_refusal('p_from', v_from));
  perform raise_refusal(day_refusal('p_to', v_to));
  if v_to - v_from not between 0 and 3659 then
    perform raise_refusal(
      invalid_argument('p_from', 'a history has 1 to 3,660 days, first to last')
    );
  end if;
  if p_limit is not null then
    perform raise_refusal(limit_name_refusal(p_limit));
  end if;
  return query
  select
    u.limit_id, u.counted_at, u.day, u.used_units, u.max_units,
    percent_used(u.used_units, u.max_units), u.overridden, u.version
  from (
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = v_channel.channel_id
      and (p_limit is null or r.limit_id = p_limit)
  ) as charged
  join daily_usage as u
    on u.limit_id = charged.limit_id
    and u.day between v_from and v_to
  order by u.day desc, u.counted_at, u.limit_id;
end;
$$;

comment on function usage_history(date, date, text, text) is
  'Used and maximum of a channel''s limits, day by day, latest first. Errors: SWARG SWCHN. Reads only.';

-- quota_warnings: the limits of a channel of which much is used.
--
--   p_from, p_days  first day and number of days to look at, 1 to 366; null:
--                   today, for each limit in its own zone
--   p_channel       the channel
--   p_percent       share of the maximum from which to warn; null: each
--                   limit's own warn_percent (80, unless set otherwise)
--
-- Returns a row for each limit and day at or above the share: limit_id,
-- counted_at, day, used_units, max_units, used_percent, warn_percent, resets_at,
-- message (for a person).
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function quota_warnings(
  p_from date default null,
  p_days integer default 1,
  p_channel text default 'default',
  p_percent numeric default null
)
returns table (
  limit_id text,
  counted_at text,
  day date,
  used_units integer,
  max_units integer,
  used_percent numeric,
  warn_percent numeric,
  resets_at timestamptz,
  message text
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
  if p_days is null or p_days not between 1 and 366 then
    perform raise_refusal(invalid_argument('p_days', 'one can look at 1 to 366 days'));
  end if;
  if p_from is not null then
    perform raise_refusal(day_refusal('p_from', p_from));
    perform raise_refusal(day_refusal('p_from', p_from + p_days));
  end if;
  if p_percent not between 0 and 100 then
    perform raise_refusal(invalid_argument('p_percent', 'a share lies between 0 and 100 percent'));
  end if;
  return query
  select
    s.limit_id, s.counted_at, s.day, s.used_units, s.max_units, s.used_percent,
    warn.percent,
    s.resets_at,
    format('%s of %s units of daily limit %L are used on %s (%s %%); it resets at %s',
      s.used_units, s.max_units, s.limit_id, to_char(s.day, 'YYYY-MM-DD'), s.used_percent,
      local_text(s.resets_at, v_channel.time_zone))
  from generate_series(0, p_days - 1) as ahead (days)
  cross join lateral channel_usage(v_channel, p_from, ahead.days) as s
  join daily_limit as l on l.limit_id = s.limit_id
  cross join lateral (select coalesce(p_percent, l.warn_percent) as percent) as warn
  where s.used_percent >= warn.percent
  order by s.day, s.counted_at, s.limit_id;
end;
$$;

comment on function quota_warnings(date, integer, text, numeric) is
  'The limits of a channel of which at least the warning share is used. Errors: SWARG SWCHN. Reads only.';

-- set_posting_times: says at which local times a channel likes to publish;
-- reserve_next_slot tries them before any other hour.
--
--   p_times        the times, whole minutes; an empty array: none
--   p_channel      the channel
--   p_iso_weekday  1 (Monday) to 7 (Sunday); null: the times of every day. The
--                  times of a weekday are added to those of every day.
--
-- Replaces what was set for that weekday (or for every day). Returns the times.
-- SQLSTATEs: SWARG SWCHN 55P03. Locks: none that bookings wait for.
create function set_posting_times(
  p_times time[],
  p_channel text default 'default',
  p_iso_weekday integer default null
)
returns setof posting_time
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  if p_times is null then
    perform raise_refusal(invalid_argument('p_times', 'an array of times is needed'));
  end if;
  if p_iso_weekday not between 1 and 7 then
    perform raise_refusal(
      invalid_argument('p_iso_weekday', 'weekdays are 1 (Monday) to 7 (Sunday)')
    );
  end if;
  if exists (
    select from unnest(p_times) as t (local_time)
    where t.local_time is null or t.local_time = '24:00' or extract(second from t.local_time) <> 0
  ) then
    perform raise_refusal(
      invalid_argument('p_times', 'posting times are whole minutes between 00:00 and 23:59')
    );
  end if;
  -- One at a time, so that of two calls the later one holds, whole.
  perform from channel as c where c.channel_id = v_channel.channel_id for no key update;
  delete from posting_time as t
  where t.channel_id = p_channel
    and t.iso_weekday is not distinct from p_iso_weekday;
  return query
  insert into posting_time (channel_id, local_time, iso_weekday)
  select distinct p_channel, t.local_time, p_iso_weekday::smallint
  from unnest(p_times) as t (local_time)
  order by t.local_time
  returning *;
end;
$$;

comment on function set_posting_times(time[], text, integer) is
  'Replaces the posting times of a channel, of every day or of one weekday, and returns them. Errors: SWARG SWCHN 55P03.';

-- add_blackout: a span of time in which a channel publishes nothing. What is
-- booked in it already stays; calendar shows it, reschedule_reservation moves it.
--
--   p_from, p_to  from this instant up to, not including, that one (infinity
--                 is allowed)
--   p_reason      why, for the people who are refused
--   p_channel     the channel
--
-- Returns the blackout. SQLSTATEs: SWARG SWCHN. Locks: none that bookings wait
-- for; a booking that is under way may still land in the span.
create function add_blackout(
  p_from timestamptz,
  p_to timestamptz,
  p_reason text,
  p_channel text default 'default'
)
returns blackout
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_blackout blackout;
begin
  if p_from is null or p_to is null or p_from >= p_to then
    perform raise_refusal(
      invalid_argument('p_from', 'a blackout begins before it ends')
    );
  end if;
  if p_reason is null or p_reason = '' or octet_length(p_reason) > 2000 then
    perform raise_refusal(invalid_argument('p_reason', 'a reason has 1 to 2,000 bytes'));
  end if;
  insert into blackout (channel_id, from_time, to_time, reason)
  values (v_channel.channel_id, p_from, p_to, p_reason)
  returning * into v_blackout;
  return v_blackout;
end;
$$;

comment on function add_blackout(timestamptz, timestamptz, text, text) is
  'Adds a span in which a channel publishes nothing and returns it. Errors: SWARG SWCHN.';

-- remove_blackout: the channel publishes again.
--
--   p_blackout_id  the blackout
--
-- Returns the blackout that was removed; no row, if there is none.
-- SQLSTATEs: SWARG. Locks: none that bookings wait for.
create function remove_blackout(p_blackout_id bigint)
returns setof blackout
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
begin
  if p_blackout_id is null then
    perform raise_refusal(invalid_argument('p_blackout_id', 'the id of a blackout is needed'));
  end if;
  return query
  delete from blackout as b
  where b.blackout_id = p_blackout_id
  returning b.*;
end;
$$;

comment on function remove_blackout(bigint) is
  'Removes a blackout and returns it; no row, if there is none. Errors: SWARG.';

-- apply_quota_profile: charges a channel's uploads as YouTube counts them.
--
--   units-10000  1,600 units an upload of 10,000 a day
--                (https://developers.google.com/youtube/v3/determine_quota_cost)
--   uploads-100  1 call of videos.insert of a bucket of 100 a day
--                (https://developers.google.com/youtube/v3/getting-started#quota)
--
-- Both count on the Pacific day of the upload. Rules that look like those of a
-- profile (1 or 1,600 units of a limit that counts uploads on the Pacific day)
-- are taken away from the channel; existing bookings keep what they were
-- charged until recalculate_usage(..., p_recharge => true).
--
--   p_profile  units-10000 or uploads-100
--   p_channel  the channel
--   p_limit    the limit to charge, for channels that share a Google Cloud
--              project; null: api_units or uploads of the channel's own. It is
--              created if it does not exist.
--
-- Returns the channel's rules for that limit.
-- SQLSTATEs: SWARG SWCHN 55P03. Locks: the limits.
create function apply_quota_profile(
  p_profile text,
  p_channel text default 'default',
  p_limit text default null
)
returns setof charge_rule
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_prefix text := case p_channel when 'default' then '' else p_channel || '/' end;
  v_limit_id text;
  v_max_units integer;
  v_units integer;
begin
  case p_profile
    when 'units-10000' then
      v_limit_id := coalesce(p_limit, v_prefix || 'api_units');
      v_max_units := 10000;
      v_units := 1600;
    when 'uploads-100' then
      v_limit_id := coalesce(p_limit, v_prefix || 'uploads');
      v_max_units := 100;
      v_units := 1;
    else
      perform raise_refusal(
        invalid_argument('p_profile', 'the profiles are units-10000 and uploads-100')
      );
  end case;
  perform raise_refusal(name_refusal('p_limit', v_limit_id, 600));

  if exists (
    select from daily_limit as l where l.limit_id = v_limit_id and l.counted_at <> 'upload'
  ) then
    perform raise_refusal(
      invalid_argument('p_limit', format('limit %L does not count uploads', v_limit_id))
    );
  end if;
  insert into daily_limit (limit_id, max_units, time_zone, counted_at)
  values (v_limit_id, v_max_units, 'America/Los_Angeles', 'upload')
  on conflict do nothing;
  delete from charge_rule as r
  using daily_limit as l
  where r.channel_id = v_channel.channel_id
    and l.limit_id = r.limit_id
    and l.counted_at = 'upload'
    and l.time_zone = 'America/Los_Angeles'
    and r.units in (1, 1600)
    and r.limit_id <> v_limit_id;
  return query
  insert into charge_rule (channel_id, video_type, limit_id, units)
  select t.channel_id, t.video_type, v_limit_id, v_units
  from video_type as t
  where t.channel_id = v_channel.channel_id
  order by t.video_type
  on conflict on constraint charge_rule_pkey do update set units = excluded.units
  returning *;
end;
$$;

comment on function apply_quota_profile(text, text, text) is
  'Charges a channel''s uploads as YouTube counts them (units-10000, uploads-100) and returns the rules. Errors: SWARG SWCHN 55P03. Locks: the limits.';

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
    'record_usage(text, integer, date, text)'
  ];
  v_reading text[] := array[
    'daily_status(date, text)',
    'calendar(date, integer, text)',
    'available_slots(text, date, integer, text, integer)',
    'usage_history(date, date, text, text)',
    'quota_warnings(date, integer, text, numeric)'
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
    'recalculate_usage(date, date, boolean, boolean)'
  ];
  v_views text[] := array['daily_usage', 'usage_drift', 'lock_waits'];
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
