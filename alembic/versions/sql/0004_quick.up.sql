-- Frozen: what this revision changed in sql/.

-- A lock budget that was set by "alter function" outlasts what follows.
select set_config(
  'slotwarden.kept_budget',
  (
    select substr(setting, length('lock_timeout=') + 1)
    from pg_proc as p
    cross join unnest(p.proconfig) as setting
    where p.oid = 'reserve_slot(date, text, time, text, text, text)'::regprocedure
      and setting like 'lock_timeout=%'
  ),
  true
);

-- PostgreSQL accepts more as a zone than there are zones: 'FOO+3' is a POSIX
-- rule without daylight saving time. Only names of the zone database will do.
-- To list those takes tens of milliseconds, so a zone that is in use already is
-- taken as one.
create or replace function require_zone(p_zone text)
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
    raise exception 'unknown time zone %', quote_literal(left(p_zone, 200))
      using errcode = 'SWARG',
        detail = jsonb_build_object('parameter', 'p_time_zone', 'value', left(p_zone, 200)),
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


-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock. Of several limits
-- that are reached, posting limits are told first, then by day and limit.
create or replace function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_charge charge;
  v_usage record;
  v_reached charge;
  v_reached_usage record;
begin
  foreach v_charge in array p_charges loop
    continue when v_charge.units <= 0;
    select coalesce(e.used_units, 0) as used_units, d.max_units, coalesce(e.version, 0) as version
    into v_usage
    from limit_day as d
    left join lateral (
      select l.used_units, l.version
      from usage_ledger as l
      where l.limit_id = d.limit_id and l.day = d.day
      order by l.version desc
      limit 1
    ) as e on true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      -- Nobody has booked the day: it has no entry, and the maximum of its limit.
      select 0 as used_units, l.max_units, 0 as version into v_usage
      from daily_limit as l
      where l.limit_id = v_charge.limit_id;
    end if;
    continue when v_usage.used_units + v_charge.units <= v_usage.max_units;
    -- What is given back on the same day makes room, too.
    continue when v_usage.used_units + v_charge.units + (
      select coalesce(sum(g.units), 0)
      from unnest(p_charges) as g
      where g.limit_id = v_charge.limit_id and g.day = v_charge.day and g.units < 0
    ) <= v_usage.max_units;
    if v_reached.limit_id is null or v_charge.counted_at < v_reached.counted_at then
      v_reached := v_charge;
      v_reached_usage := v_usage;
    end if;
  end loop;
  if v_reached.limit_id is null then
    return null;
  end if;
  return row(
    'SWLIM',
    format(
      'daily limit %L is reached on %s: %s of %s units used, %s more needed',
      v_reached.limit_id, to_char(v_reached.day, 'YYYY-MM-DD'),
      v_reached_usage.used_units, v_reached_usage.max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached_usage.used_units,
      'max', v_reached_usage.max_units,
      'units', v_reached.units,
      'version', v_reached_usage.version
    )
  )::refusal;
end;
$$;


drop function slot_refusal(channel, timestamptz, text, charge[], bigint);

-- What can speak against a slot at this moment, but for the limits, in the
-- order in which it is told; limit_refusal comes after it.
create function slot_refusal(
  p_channel channel,
  p_publish_time timestamptz,
  p_video text,
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

  return null;
end;
$$;


comment on function slot_refusal(channel, timestamptz, text, bigint) is
  'The first of SWPST, SWBLK, SWDUP, SWTKN that speaks against a slot; else null. p_moving: a reservation that is about to leave its own slot.';

-- Mistakes in what every booking function is given: SWARG, then SWCHN, SWTYP.
create or replace function argument_refusal(
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
  -- A type belongs to a channel that exists.
  perform from video_type as t where t.channel_id = p_channel and t.video_type = p_type;
  if found then
    return null;
  end if;
  if not exists (select from channel as c where c.channel_id = p_channel) then
    return unknown_channel(p_channel);
  end if;
  return row(
    'SWTYP',
    format('channel %L has no video type %L', p_channel, left(p_type, 200)),
    jsonb_build_object('channel', p_channel, 'type', left(p_type, 200))
  )::refusal;
end;
$$;


-- lock_timeout bounds one wait; a call has several. Before each, what is left
-- of the budget becomes the timeout; the SET clause of the calling function
-- puts the session's own back. A null deadline (a direct write) leaves the
-- session's setting alone.
create or replace function bound_lock_wait(p_deadline timestamptz, p_waits integer default 1)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_left_ms float8;
begin
  if p_deadline is null or p_deadline = 'infinity' then
    return;
  end if;
  v_left_ms := date_part('epoch', p_deadline - clock_timestamp()) * 1000;
  if v_left_ms < 1 then
    raise exception 'canceling statement due to lock timeout'
      using errcode = 'lock_not_available',
        hint = 'Another transaction holds the lock of the day; try again.';
  end if;
  perform set_config('lock_timeout', greatest(floor(v_left_ms / p_waits), 1)::text, true);
end;
$$;


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
create or replace function lock_days(p_charges charge[], p_deadline timestamptz)
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
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if found then
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


-- Writes charges to the ledger, one by one, each with the balance after it. The
-- days are locked first, and the balances read by later statements; the
-- ledger's own constraints refuse what would pass a maximum. A function has
-- locked its days already: then they bear this transaction's mark, and locking
-- them again would only cost time.
create or replace function post_charges(
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
  v_me xid := pg_current_xact_id()::xid;
  v_charge charge;
  v_used_units integer;
  v_max_units integer;
  v_version integer;
begin
  foreach v_charge in array p_charges loop
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id
      and d.day = v_charge.day
      and v_me in (d.xmin, d.xmax);
    if not found then
      perform lock_days(p_charges, null);
      perform refuse_over_maximum(p_charges);
      exit;
    end if;
  end loop;
  foreach v_charge in array p_charges loop
    select d.max_units, coalesce(e.used_units, 0), coalesce(e.version, 0)
    into v_max_units, v_used_units, v_version
    from limit_day as d
    left join lateral (
      select l.used_units, l.version
      from usage_ledger as l
      where l.limit_id = d.limit_id and l.day = d.day
      order by l.version desc
      limit 1
    ) as e on true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    insert into usage_ledger (
      limit_id, day, version, reservation_id, attempt, units,
      used_units, max_units, reason, at, by
    )
    values (
      v_charge.limit_id,
      v_charge.day,
      v_version + 1,
      p_reservation_id,
      case v_charge.counted_at when 'upload' then p_attempt end,
      v_charge.units,
      v_used_units + v_charge.units,
      v_max_units,
      p_reason,
      clock_now(),
      caller_role()
    )
    on conflict on constraint usage_ledger_pkey do nothing;
    if not found then
      perform raise_ledger_conflict();
    end if;
  end loop;
end;
$$;


-- What the constraints of a table cannot say of a booking, for direct writes:
-- its day is the channel's, and the channel publishes then.
create or replace function check_reservation_slot(p_reservation reservation)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_zone text;
begin
  select c.time_zone into v_zone
  from channel as c
  where c.channel_id = p_reservation.channel_id;
  if p_reservation.time_zone <> v_zone
    or p_reservation.local_date
      <> (p_reservation.scheduled_publish_time at time zone v_zone)::date
  then
    raise exception 'local_date and time_zone of a reservation are those of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave both out; they are filled in.';
  end if;
  if p_reservation.upload_status = 'scheduled' then
    perform raise_refusal(
      blackout_refusal(p_reservation.channel_id, p_reservation.scheduled_publish_time)
    );
  end if;
end;
$$;


-- Books one slot, or says why not; raises only for waits and conflicts.
--
-- A day that is full already, as committed, is refused without waiting and
-- without writing. Otherwise the days are locked and looked at again, and the
-- unique indexes decide who was first. Only what is refused is looked at in
-- full, since of several reasons the first is told; and only after the key was
-- looked up once more, since the reason may be the first call under that key.
create or replace function book(
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

    v_booking.refusal := coalesce(
      slot_refusal(p_channel, p_publish_time, p_video),
      case v_obstacle.code when 'SWLIM' then v_obstacle end
    );
    if (v_booking.refusal).code is not null then
      v_replayed := replay(p_request_key, p_function, p_arguments);
      return case when is_settled(v_replayed) then v_replayed else v_booking end;
    end if;
    -- What spoke against it has gone meanwhile: look again.
  end loop;
end;
$$;


-- The local times that a day offers, in the order in which they are tried: its
-- posting times first, then the full hours from 09:00 to 21:00.
create function times_of_day(p_channel text, p_day date)
returns setof time
language sql
stable
begin atomic
  select preferred.local_time
  from (
    select t.local_time, 1 as rank
    from posting_time as t
    where t.channel_id = p_channel
      and (t.iso_weekday is null or t.iso_weekday = extract(isodow from p_day))
    union all
    select make_time(hours.hour, 0, 0), 2
    from generate_series(9, 21) as hours (hour)
  ) as preferred
  group by preferred.local_time
  order by min(preferred.rank), preferred.local_time;
end;


comment on function times_of_day(text, date) is
  'Posting times of a channel on a day, then the full hours from 09:00 to 21:00.';

-- The days on which the limits whose day is the channel's own have room for
-- one more video: with one of them full, no time of that day is free.
create function days_with_room(
  p_channel channel,
  p_type text,
  p_first_day date,
  p_days integer
)
returns setof date
language sql
stable
begin atomic
  select ahead.day
  from (
    select p_first_day + n as day from generate_series(0, p_days - 1) as days (n)
  ) as ahead
  where not exists (
    select
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    left join limit_day as d on d.limit_id = r.limit_id and d.day = ahead.day
    where r.channel_id = (p_channel).channel_id
      and r.video_type = p_type
      and l.counted_at = 'publish'
      and coalesce(l.time_zone, (p_channel).time_zone) = (p_channel).time_zone
      and r.units + coalesce(
        (
          select e.used_units
          from usage_ledger as e
          where e.limit_id = r.limit_id and e.day = ahead.day
          order by e.version desc
          limit 1
        ),
        0
      ) > coalesce(d.max_units, l.max_units)
  )
  order by ahead.day;
end;


comment on function days_with_room(channel, text, date, integer) is
  'Days of a span on which no posting limit of a channel is full for a video type.';

-- The next free slots of a channel, as committed now, in the order of
-- times_of_day. Days that are full are passed over as a whole. Candidates that
-- would charge what was asked for a moment ago get the same answer.
create or replace function free_slots(
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
  v_time time;
  v_slot timestamptz;
  v_charges charge[];
  v_with_room charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_day in
    select d from days_with_room(p_channel, p_type, v_first_day, p_horizon_days) as d
  loop
    for v_time in select t from times_of_day(p_channel.channel_id, v_day) as t loop
      v_slot := local_instant(v_day + v_time, p_channel.time_zone);
      continue when v_slot is null or v_slot <= p_from;
      perform from reservation as r
      where r.channel_id = p_channel.channel_id
        and r.scheduled_publish_time = v_slot
        and r.upload_status in ('scheduled', 'uploading', 'completed');
      continue when found;
      perform from blackout as b
      where b.channel_id = p_channel.channel_id
        and b.from_time <= v_slot
        and b.to_time > v_slot;
      continue when found;
      v_charges := array(
        select c
        from charges_for(
          p_channel.channel_id, p_type, v_slot,
          upload_time_for(v_slot, p_channel.upload_lead, clock_now())
        ) as c
      );
      continue when v_charges = v_full;
      if v_charges is distinct from v_with_room then
        if (limit_refusal(v_charges)).code is not null then
          v_full := v_charges;
          continue;
        end if;
        v_with_room := v_charges;
      end if;
      return next v_slot;
      v_found := v_found + 1;
      if v_found = p_count then
        return;
      end if;
    end loop;
  end loop;
end;
$$;


create or replace function refuse_write()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  -- Other triggers insert.
  if tg_op = 'INSERT' and pg_trigger_depth() > 1 then
    return null;
  end if;
  raise exception '% of % is refused', lower(tg_op), tg_table_name
    using errcode = 'SWSTA',
      detail = jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      hint = 'Usage changes through reservations and maximums, which write the ledger.';
end;
$$;


comment on function refuse_write() is
  'Trigger: refuses (SWSTA) the statement, but for an insert that another trigger makes.';

-- Fills what a direct insert leaves out; the functions give all of it.
create or replace function complete_reservation()
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
  if new.time_zone is not null and new.local_date is not null
    and new.upload_time is not null and new.held_units is not null
  then
    return new;
  end if;
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


-- A day follows its limit, unless it is overridden. The limit's row is read
-- for share, so that a maximum that is being changed is waited for and the
-- new one is read.
create or replace function follow_daily_limit()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_max_units integer;
begin
  if new.overridden then
    return new;
  end if;
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


-- The ledger tells every change of a maximum, by an entry of 0 units.
create or replace function record_maximum()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if tg_op = 'INSERT' and not new.overridden then
    return null;
  end if;
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
create or replace function reserve_slot(
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
        -- A day that was refused may be past all instants.
        and (v_booking.refusal).code <> 'SWARG'
    ));
    perform raise_refusal(v_booking.refusal, v_hint);
  end if;
  return v_booking.reservation;
end;
$$;


create or replace function move_step(
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
    (p_refusal).code,
    r.channel_id,
    r.video_type,
    -- A day that was refused may be past all instants.
    case when (p_refusal).code <> 'SWARG' then (p_date + p_time) at time zone c.time_zone end
  )
  from reservation as r
  join channel as c on c.channel_id = r.channel_id
  where r.reservation_id = p_reservation_id;
end;


-- Gives a reservation another slot: the common part of reschedule_reservation
-- (scheduled) and retry_upload (failed). As in book, one looks before the locks
-- and again under them, and looks a key up before every refusal.
create or replace function move_reservation(
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
        else coalesce(
          slot_refusal(v_channel, v_publish_time, v_seen.video_path, p_reservation_id),
          limit_refusal(net_charges(v_charges, array(
            select h from charges_held(p_reservation_id, v_seen.attempt) as h
            where v_seen.upload_status = 'scheduled'
          )))
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
        v_channel, v_publish_time, v_seen.video_path, p_reservation_id
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
create or replace function available_slots(
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
  v_after timestamptz;
begin
  perform raise_refusal(v_refusal, v_hint);
  perform raise_refusal(horizon_refusal(p_from, p_horizon_days));
  if p_count is null or p_count not between 1 and 1000 then
    perform raise_refusal(invalid_argument('p_count', 'one can ask for 1 to 1000 slots'));
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  v_first_day := coalesce(p_from, (clock_now() at time zone v_channel.time_zone)::date);
  v_after := greatest(
    day_start(v_first_day, v_channel.time_zone) - interval '1 minute', clock_now()
  );
  return query
  select
    (free.slot at time zone v_channel.time_zone)::date,
    (free.slot at time zone v_channel.time_zone)::time,
    free.slot,
    v_channel.time_zone
  from free_slots(
    v_channel, p_type, v_after,
    v_first_day + p_horizon_days - (v_after at time zone v_channel.time_zone)::date,
    p_count
  ) as free (slot);
end;
$$;


-- list_channels: the channels of the workspace.
--
-- Returns a row for each channel, by name: channel_id; time_zone; upload_lead;
-- video_types (in order of their names); created_at.
-- SQLSTATEs: none of its own. Locks: none; writes nothing.
create function list_channels()
returns table (
  channel_id text,
  time_zone text,
  upload_lead interval,
  video_types text[],
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
    c.channel_id,
    c.time_zone,
    c.upload_lead,
    array(
      select t.video_type
      from video_type as t
      where t.channel_id = c.channel_id
      order by t.video_type
    ),
    c.created_at
  from channel as c
  order by c.channel_id;
end;
$$;


comment on function list_channels() is
  'The channels of the workspace, with their zones, leads and video types. Reads only.';

-- What does not add up. Empty, unless somebody wrote with triggers disabled,
-- or behind PostgreSQL's back. Days are compared with the sums of their
-- entries, reservations with what they say that they hold.
create or replace view usage_drift as
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
  'held', null, null, r.reservation_id, 0, r.held_units,
  format('the reservation was cancelled, and is %s', r.upload_status)
from reservation as r
where r.upload_status <> 'cancelled'
  and r.reservation_id in (
    select e.reservation_id
    from usage_ledger as e
    where e.reason = 'cancel'
      and not exists (
        select from usage_ledger as later
        where later.reservation_id = e.reservation_id and later.at > e.at
      )
  )
union all
select
  'external', coalesce(u.limit_id, e.limit_id), coalesce(u.day, e.day), null,
  coalesce(u.units, 0), coalesce(e.units, 0),
  'what something else has used is not what the ledger has of it'
from (
  select x.limit_id, x.day, sum(x.units)::integer as units
  from external_usage as x
  group by x.limit_id, x.day
) as u
full join (
  select l.limit_id, l.day, sum(l.units)::integer as units
  from usage_ledger as l
  where l.reason = 'external'
  group by l.limit_id, l.day
) as e on e.limit_id = u.limit_id and e.day = u.day
where coalesce(u.units, 0) <> coalesce(e.units, 0)
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
  'What does not add up between reservations, ledger and maximums; empty, unless triggers were disabled. recalculate_usage repairs balances and what reservations hold.';
comment on column usage_drift.kind is
  'balance, gap, maximum or external (of a day), or held (of a reservation).';
comment on column usage_drift.limit_id is 'The limit; null: all that the reservation is charged.';
comment on column usage_drift.day is 'Day in the limit''s zone; null: all its days.';
comment on column usage_drift.reservation_id is 'The reservation; null: it is about the day.';
comment on column usage_drift.expected_units is
  'What should stand there (units; of a gap, the number of entries).';
comment on column usage_drift.found_units is 'What stands there.';
comment on column usage_drift.detail is 'What is wrong, for a person.';

do $kept_budget$
declare
  v_budget text := current_setting('slotwarden.kept_budget');
begin
  execute 'alter function reserve_slot(date, text, time, text, text, text) '
    || case v_budget
      when '' then 'reset lock_timeout'
      else format('set lock_timeout = %L', v_budget)
    end;
end;
$kept_budget$;

-- The triggers alone write reasons, and each insert would parse the list anew.
alter table usage_ledger drop constraint usage_ledger_reason_valid;

comment on column usage_ledger.reason is
  'What changed the usage: reserve, reschedule, cancel, start, claim, fail, retry, delete, maximum, recalculate or external.';

-- A trigger's condition is parsed anew in each statement, too.
create or replace trigger reservation_complete
before insert on reservation
for each row
execute function complete_reservation();

create or replace trigger limit_day_follow
before insert or update of max_units, overridden on limit_day
for each row
execute function follow_daily_limit();

create or replace trigger limit_day_record_override
after insert on limit_day
for each row
execute function record_maximum();

create or replace trigger usage_ledger_insert_by_triggers
before insert on usage_ledger
for each statement
execute function refuse_write();

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
    'list_channels()',
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
