-- Puts the definitions back that revision 0004 left.

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


drop function list_blackouts(text, timestamptz);

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
