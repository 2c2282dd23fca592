-- Frozen: what this revision changed in sql/.

-- Lock budgets that were set by "alter function" outlast what follows.
select set_config(
  'slotwarden.kept_budgets',
  (
    select jsonb_object_agg(p.oid::regprocedure::text, (
      select substr(setting, length('lock_timeout=') + 1)
      from unnest(p.proconfig) as setting
      where setting like 'lock_timeout=%'
    ))::text
    from pg_proc as p
    where p.oid in (
      'reserve_next_slot(text, date, integer, text, text, boolean, text)'::regprocedure,
      'claim_due_uploads(integer, interval, text)'::regprocedure,
      'fail_upload(bigint, uuid, text)'::regprocedure,
      'create_channel(text, text, interval, text[], text)'::regprocedure,
      'set_channel(text, text, interval)'::regprocedure,
      'override_day(text, date, integer)'::regprocedure,
      'set_charge(text, text, integer, text)'::regprocedure,
      'set_posting_times(time[], text, integer)'::regprocedure,
      'add_blackout(timestamptz, timestamptz, text, text)'::regprocedure,
      'apply_quota_profile(text, text, text)'::regprocedure,
      'account_upload(text, integer, date, text)'::regprocedure
    )
  ),
  true
);

create or replace function upload_lead_refusal(p_upload_lead interval)
returns refusal
language sql
immutable
return case
  when p_upload_lead is null or extract(epoch from p_upload_lead) not between 0 and 366 * 86400
    then invalid_argument('p_upload_lead', 'an upload lead lies between 0 and 366 days')
end;


-- An instant that can be a slot: finite, a whole minute, within the years that
-- the calendar of every zone writes with four digits.
create or replace function publish_time_refusal(p_publish_time timestamptz)
returns refusal
language sql
stable
return case
  when p_publish_time is null
    then invalid_argument('p_publish_time', 'a publish time is needed')
  when not isfinite(p_publish_time)
    or p_publish_time < '0001-01-02 00:00+00' or p_publish_time >= '9999-12-31 00:00+00'
    then invalid_argument('p_publish_time', 'a publish time lies between 0001-01-02 and 9999-12-30, UTC')
  when mod(extract(epoch from p_publish_time), 60) <> 0
    then invalid_argument('p_publish_time', 'a publish time is a whole minute')
end;


create or replace function day_refusal(p_parameter text, p_day date)
returns refusal
language sql
immutable
return case
  when p_day is null or not isfinite(p_day) or p_day < '0001-01-03' or p_day > '9999-12-29'
    then invalid_argument(p_parameter, 'a day lies between 0001-01-03 and 9999-12-29')
end;


create or replace function units_of(p_charges charge[])
returns integer
language plpgsql
immutable
set search_path from current
as $$
declare
  v_charge charge;
  v_units bigint := 0;
begin
  foreach v_charge in array p_charges loop
    v_units := v_units + v_charge.units;
  end loop;
  if v_units > 2147483647 then
    perform raise_refusal(
      invalid_argument('p_type', 'its rules take more units than can be counted')
    );
  end if;
  return v_units;
end;
$$;


comment on function units_of(charge[]) is
  'Sum of the units of charges; SWARG, if they are more than can be counted.';

create function video_refusal(p_channel channel, p_video text, p_moving bigint default null)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_holder reservation;
begin
  if p_video is null then
    return null;
  end if;
  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_channel.channel_id
    and r.video_path = p_video
    and r.upload_status in ('scheduled', 'uploading', 'completed')
    and r.reservation_id is distinct from p_moving;
  if not found then
    return null;
  end if;
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
end;
$$;


comment on function video_refusal(channel, text, bigint) is
  'SWDUP, if a video has a live booking on the channel, other than p_moving; else null.';

-- What can speak against a slot at this moment, but for the limits, in the
-- order in which it is told; limit_refusal comes after it.
create or replace function slot_refusal(
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
    blackout_refusal(p_channel.channel_id, p_publish_time),
    video_refusal(p_channel, p_video, p_moving)
  );
  v_holder reservation;
begin
  if v_refusal.code is not null then
    return v_refusal;
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


-- Follows a row's lock that the call may have waited for. That may have been
-- two waits, for a place in the queue and for the lock, and each may have taken
-- what was left of the budget.
create function end_lock_wait(p_deadline timestamptz)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  if clock_timestamp() > p_deadline then
    raise exception 'canceling statement due to lock timeout'
      using errcode = 'lock_not_available',
        hint = 'Another transaction held a lock that this call needs; try again.';
  end if;
  perform bound_lock_wait(p_deadline);
end;
$$;


comment on function end_lock_wait(timestamptz) is
  'Ends a wait for a row, and bounds the next one; 55P03 past the deadline.';

create function lock_channel(p_channel_id text, p_deadline timestamptz)
returns channel
language plpgsql
volatile
set search_path from current
as $$
declare
  v_channel channel;
begin
  -- Most channels are free: only a wait needs a bound.
  select c.* into v_channel
  from channel as c
  where c.channel_id = p_channel_id
  for no key update skip locked;
  if not found then
    perform bound_lock_wait(p_deadline);
    select c.* into v_channel
    from channel as c
    where c.channel_id = p_channel_id
    for no key update;
    perform end_lock_wait(p_deadline);
  end if;
  return v_channel;
end;
$$;


comment on function lock_channel(text, timestamptz) is
  'Locks a channel against its other calls and changes, and returns it; 55P03 past the deadline.';

-- Holds limits as they are, for calls that may create their days: a new day
-- takes its maximum from its limit, and limits come before days in the order of
-- locks. They are given in order of their names.
create function share_limits(p_limit_ids text[], p_deadline timestamptz)
returns boolean
language plpgsql
volatile
set search_path from current
as $$
declare
  v_limit_id text;
  v_waited boolean := false;
begin
  foreach v_limit_id in array p_limit_ids loop
    -- Most limits are free: only a wait needs a bound.
    perform from daily_limit as l where l.limit_id = v_limit_id for share skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from daily_limit as l where l.limit_id = v_limit_id for share;
      if not found then
        raise exception 'limit % was deleted meanwhile', quote_literal(v_limit_id)
          using errcode = 'serialization_failure', hint = 'Try the transaction again.';
      end if;
      perform end_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;


comment on function share_limits(text[], timestamptz) is
  'Locks limits against changes, in order of their names, and says whether it had to wait; 55P03 past the deadline, 40001.';

-- The one place that locks days. Order of locks, everywhere in slotwarden:
--
--   0. the channel's row: reserve_next_slot, and what sets a channel's ways
--   1. daily_limit rows, by limit_id: what sets limits and rules; and, for
--      share, what creates days, so that a maximum that is being changed is
--      waited for
--   2. limit_day rows, by (day, limit_id): those that exist for update, those
--      that are missing by creating them
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
  v_missing charge[] := '{}';
  v_limits text[] := '{}';
  v_waited boolean := false;
begin
  foreach v_charge in array p_charges loop
    assert v_previous.day is null
      or (v_previous.day, v_previous.limit_id) <= (v_charge.day, v_charge.limit_id),
      'charges are locked in the order of day and limit';
    v_previous := v_charge;
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      v_missing := v_missing || v_charge;
      v_limits := v_limits || v_charge.limit_id;
    end if;
  end loop;
  if v_limits <> '{}' then
    -- Those of one day are in order already.
    if v_missing[1].day <> v_missing[cardinality(v_missing)].day then
      v_limits := array(select distinct l from unnest(v_limits) as l order by l);
    end if;
    v_waited := share_limits(v_limits, p_deadline);
  end if;

  foreach v_charge in array p_charges loop
    if v_charge = any (v_missing) then
      perform bound_lock_wait(p_deadline);
      insert into limit_day (limit_id, day)
      values (v_charge.limit_id, v_charge.day)
      on conflict do nothing;
      continue when found;
      -- Created by another transaction meanwhile.
      v_waited := true;
    end if;
    -- Most days are free: only a wait needs a bound.
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day
    for update skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from limit_day as d
      where d.limit_id = v_charge.limit_id and d.day = v_charge.day
      for update;
      perform end_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;


-- Locks limits for a change of their rules or of the zones of their channels,
-- one by one, so that the waits share one budget.
create or replace function lock_limits(p_limit_ids text[], p_deadline timestamptz)
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
    -- Most limits are free: only a wait needs a bound.
    perform from daily_limit as l where l.limit_id = v_limit_id for no key update skip locked;
    if not found then
      perform bound_lock_wait(p_deadline);
      perform from daily_limit as l where l.limit_id = v_limit_id for no key update;
      perform end_lock_wait(p_deadline);
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
  v_refusal refusal;
begin
  select c.time_zone into v_zone
  from channel as c
  where c.channel_id = p_reservation.channel_id;
  if p_reservation.time_zone <> v_zone then
    raise exception 'the zone of the channel changed while the slot was booked'
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again; a direct write leaves time_zone out.';
  end if;
  if p_reservation.local_date
    <> (p_reservation.scheduled_publish_time at time zone v_zone)::date
  then
    raise exception 'the local_date of a reservation is that of its channel'
      using errcode = 'check_violation',
        constraint = 'reservation_local_date_true',
        table = 'reservation',
        hint = 'Leave it out; it is filled in.';
  end if;
  if p_reservation.upload_status = 'scheduled' then
    v_refusal := blackout_refusal(
      p_reservation.channel_id, p_reservation.scheduled_publish_time
    );
    if v_refusal.code is not null then
      perform raise_refusal(v_refusal);
    end if;
  end if;
end;
$$;


comment on function check_reservation_slot(reservation) is
  'Refuses a booking whose local day is not its channel''s (23514; 40001 if its zone is not) or that is blacked out (SWBLK).';

-- Locks a reservation for a change: first the days whose units it holds and
-- those that it is about to charge, then its row, as the order of locks wants.
-- One that was moved to other days meanwhile would have to be locked against
-- that order, so the call gives way instead; unless it was this very call that
-- moved it, under the same key.
create or replace function lock_reservation(
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
  v_locked charge[] := sorted_charges(p_charges || array(
    select h from charges_held(p_reservation.reservation_id, p_reservation.attempt) as h
  ));
  v_reservation reservation;
begin
  perform lock_days(v_locked, p_deadline);
  perform bound_lock_wait(p_deadline);
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation.reservation_id
  for update;
  if not found then
    return require_reservation(p_reservation.reservation_id);
  end if;
  if v_reservation.version <> p_reservation.version
    and exists (
      select from charges_held(v_reservation.reservation_id, v_reservation.attempt) as h
      where not exists (
        select from unnest(v_locked) as l where l.limit_id = h.limit_id and l.day = h.day
      )
    )
    and not exists (select from request as q where q.request_key = p_request_key)
  then
    raise exception 'reservation % was moved meanwhile', v_reservation.reservation_id
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again.';
  end if;
  return v_reservation;
end;
$$;


create or replace function charge_reservation()
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
  if tg_op = 'UPDATE' and new.held_units <> units_of(array(
    select h from charges_held(new.reservation_id, new.attempt) as h
  )) then
    raise exception 'the charges of the reservation changed while it was changed'
      using errcode = 'serialization_failure', hint = 'Try the transaction again.';
  end if;
  return null;
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
  if not found then
    raise exception 'there is no daily limit %', quote_literal(new.limit_id)
      using errcode = 'foreign_key_violation',
        constraint = 'limit_day_limit_fkey',
        table = 'limit_day';
  end if;
  if tg_op = 'UPDATE' and old.overridden then
    new.max_units := v_max_units;
  end if;
  new.max_units := coalesce(new.max_units, v_max_units);
  new.overridden := new.max_units <> v_max_units;
  return new;
end;
$$;


create or replace function horizon_refusal(p_from date, p_horizon_days integer)
returns refusal
language sql
immutable
return case
  when not isfinite(p_from) or p_from < '0001-01-03' or p_from > '9998-12-29'
    then invalid_argument('p_from', 'a day lies between 0001-01-03 and 9998-12-29')
  when p_horizon_days is null or p_horizon_days not between 1 and 366
    then invalid_argument('p_horizon_days', 'a horizon has 1 to 366 days')
end;


-- Books the first free slot, or says why there is none. What is lost to a
-- booking that does not queue on the channel is passed over, as long as the
-- order of locks allows it.
create or replace function book_next(
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

  -- What is lost to others may lead to days that are missing, with others held.
  perform share_limits(
    array(
      select distinct r.limit_id
      from charge_rule as r
      where r.channel_id = p_channel.channel_id and r.video_type = p_type
      order by r.limit_id
    ),
    p_deadline
  );
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
        v_booking.refusal := coalesce(
          video_refusal(p_channel, p_video),
          row(
            'SWNON',
            format('no slot is free for a %L of channel %L from %s to %s',
              p_type, p_channel.channel_id, to_char(v_first_day, 'YYYY-MM-DD'),
              to_char(v_first_day + p_horizon_days - 1, 'YYYY-MM-DD')),
            jsonb_build_object(
              'channel', p_channel.channel_id, 'type', p_type,
              'from', to_char(v_first_day, 'YYYY-MM-DD'), 'horizon_days', p_horizon_days
            )
          )::refusal
        );
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
    perform bound_lock_wait(p_deadline);
  end loop;
end;
$$;


create or replace function lease_refusal(p_lease interval)
returns refusal
language sql
immutable
return case
  when extract(epoch from p_lease) <= 0 or extract(epoch from p_lease) > 366 * 86400
    then invalid_argument('p_lease', 'a lease lasts longer than 0 and up to 366 days')
end;


drop function is_due(reservation);

create function is_due(p_reservation reservation, p_now timestamptz)
returns boolean
language sql
immutable
return case (p_reservation).upload_status
  when 'scheduled' then (p_reservation).upload_time <= p_now
  when 'uploading' then (p_reservation).lease_expires_at <= p_now
  else false
end;


comment on function is_due(reservation, timestamptz) is
  'Whether an upload may be claimed: its time has come, or its lease has run out.';

drop function due_uploads(text, bigint[], integer);

create function due_uploads(
  p_channel text,
  p_now timestamptz,
  p_after reservation,
  p_count integer
)
returns reservation[]
language plpgsql
volatile
set search_path from current
as $$
begin
  return array(
    select r
    from reservation as r
    where r.upload_status in ('scheduled', 'uploading')
      and r.upload_time <= p_now
      and (r.upload_status = 'scheduled' or r.lease_expires_at <= p_now)
      and (p_channel is null or r.channel_id = p_channel)
      and (r.upload_time, r.reservation_id)
        > (coalesce(p_after.upload_time, '-infinity'), coalesce(p_after.reservation_id, 0))
    order by r.upload_time, r.reservation_id
    limit p_count
  );
end;
$$;


comment on function due_uploads(text, timestamptz, reservation, integer) is
  'The next uploads that are due at a moment, by upload time, after one of them; null: from the first.';

create or replace function parsed_instant(p_text text)
returns timestamptz
language plpgsql
immutable
set search_path from current
set datestyle = 'ISO, YMD'
as $$
begin
  if p_text !~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-]\d\d(:?\d\d)?)$' then
    return null;
  end if;
  return p_text::timestamptz;
exception
  when datetime_field_overflow or invalid_datetime_format
    or invalid_time_zone_displacement_value then return null;
end;
$$;


create or replace function book_wish(p_wish booking_wish, p_deadline timestamptz)
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
  perform bound_lock_wait(p_deadline);
  return book(
    v_channel, p_wish.video_type, p_wish.publish_time, p_wish.video_path,
    p_wish.request_key, 'reserve_slots', p_wish.arguments, p_deadline
  );
end;
$$;


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
create or replace function reserve_next_slot(
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
set jit = off
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
    v_channel := lock_channel(p_channel, v_deadline);
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
create or replace function claim_due_uploads(
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
set jit = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  -- One moment for the whole call, so that nothing is due again within it.
  v_now timestamptz := clock_now();
  v_round reservation[];
  v_due reservation;
  v_last reservation;
  v_locked charge[];
  v_charges charge[];
  v_reservation reservation;
  v_claimed integer := 0;
  v_holds boolean := false;
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
    v_round := due_uploads(p_channel, v_now, v_last, p_count - v_claimed);
    exit when cardinality(v_round) = 0;
    v_last := v_round[cardinality(v_round)];
    -- Days come before reservations in the order of locks, so only the first
    -- round with an upload that fits and is free may wait for days; later ones
    -- take what needs no others.
    if v_locked is null then
      v_round := array(
        select r
        from unnest(v_round) as r
        where (limit_refusal(start_charges(r))).code is null
        order by r.upload_time, r.reservation_id
      );
      continue when cardinality(v_round) = 0;
      v_locked := array(
        select c
        from unnest(v_round) as r
        cross join unnest(start_charges(r)) as c
        order by c.day, c.limit_id
      );
      perform lock_days(v_locked, v_deadline);
    end if;
    foreach v_due in array v_round loop
      select r.* into v_reservation
      from reservation as r
      where r.reservation_id = v_due.reservation_id and is_due(r, v_now)
      for update skip locked;
      continue when not found;
      v_holds := true;
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
    if v_locked = '{}' and not v_holds then
      v_locked := null;
    end if;
  end loop;
end;
$$;


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
-- after 5 s of waiting, 40001 (claimed for another day meanwhile), 40P01.
-- Locks: the limit_day rows whose units it holds, then the reservation.
create or replace function fail_upload(
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
set jit = off
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
  'Ends an upload that came to nothing, for the worker that holds its token, and returns the reservation. Errors: SWARG SWNFD SWSTA 55P03 40001 40P01. Locks: the limit_day rows whose units it holds, then the reservation.';

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
create or replace function usage_history(
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
set jit = off
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_to date := coalesce(p_to, (clock_now() at time zone v_channel.time_zone)::date);
  v_from date;
begin
  perform raise_refusal(day_refusal('p_to', v_to));
  v_from := coalesce(p_from, v_to - 29);
  perform raise_refusal(day_refusal('p_from', v_from));
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


drop function recharge_reservation(bigint);

-- Applies today's rules to one reservation, under the locks of its days. What
-- would pass a maximum is left as it is and said.
create function recharge_reservation(p_reservation_id bigint, p_drifts boolean)
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
  if not found or not p_drifts and (
    v_reservation.upload_status <> 'scheduled'
    or v_reservation.scheduled_publish_time <= clock_now()
  ) then
    -- What was started while its days were waited for keeps what it was charged;
    -- what was deleted holds nothing.
    return '{}';
  end if;
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


comment on function recharge_reservation(bigint, boolean) is
  'Applies today''s rules to a reservation, if it drifts or is scheduled for the future; returns what changed, or refused where a maximum is reached.';

-- The work of recalculate_usage. All days are locked first, in their order;
-- days are recounted before reservations are charged on them.
create or replace function repair_usage(
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
  v_drifting bigint[];
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
  v_drifting := array(
    select distinct u.reservation_id from usage_drift as u where u.reservation_id is not null
  );
  v_ids := array(
    select r.reservation_id
    from reservation as r
    where r.local_date between p_from and p_to
      and (
        r.reservation_id = any (v_drifting)
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
    v_changes := v_changes || recharge_reservation(v_id, v_id = any (v_drifting));
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
-- Locks: p_like, the new rows, and shared limits, until the transaction ends.
create or replace function create_channel(
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

  -- Its rules stay as they are until they are copied.
  perform lock_channel(p_like, v_deadline);
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
  'Creates a channel like another, with limits of its own named channel/limit, and returns it. Errors: SWARG SWCHN 55P03. Locks: the channel that it is like, and shared limits.';

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
create or replace function set_channel(
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
  perform lock_channel(p_channel, v_deadline);
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
create or replace function override_day(p_limit text, p_day date, p_max integer)
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
  perform share_limits(array[p_limit], v_deadline);
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
create or replace function set_charge(
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

  perform lock_channel(p_channel, v_deadline);
  perform lock_limits(array[p_limit], v_deadline);
  if p_units = 0 then
    delete from charge_rule as r
    where r.channel_id = p_channel and r.video_type = p_type and r.limit_id = p_limit;
    v_rule := row(p_channel, p_type, p_limit, 0)::charge_rule;
  elsif 2000000000 < p_units + (
    select coalesce(sum(r.units), 0)
    from charge_rule as r
    where r.channel_id = p_channel and r.video_type = p_type and r.limit_id <> p_limit
  ) then
    perform raise_refusal(invalid_argument(
      'p_units', 'an upload takes up to 2,000,000,000 units of all its limits together'
    ));
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
  'Sets what one upload of a type takes from a limit and returns the rule. Errors: SWARG SWCHN SWTYP 55P03. Locks: the channel, then the limit.';

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
create or replace function set_posting_times(
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
  perform lock_channel(p_channel, lock_deadline());
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
create or replace function add_blackout(
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
  if isfinite(p_from) and p_from < '0001-01-02 00:00+00'
    or isfinite(p_to) and p_to > '9999-12-31 00:00+00'
  then
    perform raise_refusal(invalid_argument(
      'p_from', 'a blackout lies between 0001-01-02 and 9999-12-31, UTC, or is infinite'
    ));
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
-- SQLSTATEs: SWARG SWCHN 55P03. Locks: the channel, then the limits.
create or replace function apply_quota_profile(
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
  v_deadline timestamptz := lock_deadline();
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

  perform lock_channel(p_channel, v_deadline);
  perform bound_lock_wait(v_deadline);
  insert into daily_limit (limit_id, max_units, time_zone, counted_at)
  values (v_limit_id, v_max_units, 'America/Los_Angeles', 'upload')
  on conflict do nothing;
  perform lock_limits(
    v_limit_id || array(
      select r.limit_id from charge_rule as r where r.channel_id = v_channel.channel_id
    ),
    v_deadline
  );
  if exists (
    select from daily_limit as l where l.limit_id = v_limit_id and l.counted_at <> 'upload'
  ) then
    perform raise_refusal(
      invalid_argument('p_limit', format('limit %L does not count uploads', v_limit_id))
    );
  end if;
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
  'Charges a channel''s uploads as YouTube counts them (units-10000, uploads-100) and returns the rules. Errors: SWARG SWCHN 55P03. Locks: the channel, then the limits.';

-- Books one row under the locks of its days, or keeps it as a conflict.
create or replace function langflix_import_row(p_row langflix_row, p_source text)
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
  values (p_source, p_row.row, v_reason)
  on conflict do nothing;
  if not found then
    -- Another import kept it meanwhile.
    return row(p_row.row ->> 'id', 'known', null, null)::langflix_result;
  end if;
  return row(p_row.row ->> 'id', 'conflict', null, v_reason)::langflix_result;
end;
$$;


-- The work of import_langflix. All days are locked first, in their order; then
-- the rows are taken one after the other, so that of several in one slot the
-- first keeps it.
create or replace function langflix_import(
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
  v_charges charge[];
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
  v_charges := sorted_charges(array(
    select distinct row(c.limit_id, null, c.day, 0)::charge
    from unnest(v_rows) as r
    cross join lateral unnest(reservation_charges(null, r.reservation)) as c
    where r.reason is null
      and not (langflix_known(r, p_source)).is_known
  ));
  -- A day that gets its maximum back looks at its limit.
  perform share_limits(
    array(select distinct c.limit_id from unnest(v_charges) as c order by c.limit_id), p_deadline
  );
  perform lock_days(v_charges, p_deadline);

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
    perform bound_lock_wait(p_deadline);
    v_results := v_results || langflix_import_row(v_row, p_source);
  end loop;
  return v_results || langflix_restore_maxima(v_days);
end;
$$;


create or replace function langflix_reservation_of_video(p_channel text, p_video text)
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
  where r.channel_id = p_channel
    and r.video_path = p_video
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if found then
    return v_reservation;
  end if;

  -- No index leads to the others: only a call that errs or is repeated asks for them.
  select r.* into v_reservation
  from reservation as r
  where r.channel_id = p_channel and r.video_path = p_video
  order by r.created_at desc, r.reservation_id desc
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
create or replace function account_upload(
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
set jit = off
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
  perform lock_channel(p_channel, v_deadline);
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


-- Who waits for whose lock on which day. A session that waits for a row holds,
-- or waits for, a lock on the row's place in its table, and that place leads
-- back to the day. A day that another session is only just creating has no place
-- yet: whoever waits for it is seen by what it is about to write.
create or replace view lock_waits as
with lock as (
  -- Of this database only: tables of others, such as its copies, may have the same numbers.
  select l.pid, l.locktype, l.relation, l.page, l.tuple, l.mode, l.granted
  from pg_locks as l
  join pg_stat_activity as a on a.pid = l.pid and a.datname = current_database()
),
waiting as (
  select l.pid, l.page, l.tuple
  from lock as l
  where l.locktype = 'tuple'
    and l.relation = 'limit_day'::regclass
  union all
  select l.pid, null::integer as page, null::smallint as tuple
  from lock as l
  where l.locktype = 'transactionid'
    and not l.granted
    and (
      select array_agg(distinct written.relation) = array['limit_day'::regclass::oid]
      from lock as written
      join pg_class as c on c.oid = written.relation and c.relkind = 'r'
      where written.pid = l.pid
        and written.locktype in ('relation', 'tuple')
        and (written.mode = 'RowExclusiveLock' or written.locktype = 'tuple')
    )
    and not exists (
      select from lock as place where place.pid = l.pid and place.locktype = 'tuple'
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

do $kept_budgets$
declare
  v_function text;
  v_budget text;
begin
  for v_function, v_budget in
    select f.key, f.value from jsonb_each_text(current_setting('slotwarden.kept_budgets')::jsonb) as f
  loop
    execute 'alter function ' || v_function
      || case
        when v_budget is null then ' reset lock_timeout'
        else format(' set lock_timeout = %L', v_budget)
      end;
  end loop;
end;
$kept_budgets$;

alter function reserve_slot(date, text, time, text, text, text) set jit = off;
alter function reserve_slot_at(timestamptz, text, text, text, text) set jit = off;
alter function try_reserve_slot(date, text, time, text, text, text) set jit = off;
alter function cancel_reservation(bigint, integer) set jit = off;
alter function reserve_slots(jsonb, boolean) set jit = off;
alter function reschedule_reservation(bigint, date, time, integer, text) set jit = off;
alter function lock_day(date, text) set jit = off;
alter function start_upload(bigint, interval) set jit = off;
alter function complete_upload(bigint, uuid, text) set jit = off;
alter function retry_upload(bigint, date, time, integer, text) set jit = off;
alter function record_usage(text, integer, date, text) set jit = off;
alter function daily_status(date, text) set jit = off;
alter function calendar(date, integer, text) set jit = off;
alter function available_slots(text, date, integer, text, integer) set jit = off;
alter function quota_warnings(date, integer, text, numeric) set jit = off;
alter function import_langflix(jsonb, text, text, boolean) set jit = off;
alter function rebook_import_conflict(bigint, date, time, text, text) set jit = off;
alter function record_upload(text, text, text, text) set jit = off;
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
    'list_blackouts(text, timestamptz)',
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
