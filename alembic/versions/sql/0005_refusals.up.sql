-- Frozen: what this revision changed in sql/.

-- Would these charges pass a maximum? Reads the balances as committed, or, in
-- a statement after lock_days, as they stand under the lock. Of several limits
-- that are reached, posting limits are told first, then by day and limit. The
-- charges are ordered by day, limit and units.
create or replace function limit_refusal(p_charges charge[])
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_charge charge;
  v_given_back charge;
  v_used_units integer;
  v_max_units integer;
  v_version integer;
  v_reached charge;
  v_reached_used_units integer;
  v_reached_max_units integer;
  v_reached_version integer;
begin
  foreach v_charge in array p_charges loop
    if v_charge.units <= 0 then
      v_given_back := v_charge;
      continue;
    end if;
    select d.max_units, coalesce(latest.used_units, 0), coalesce(latest.version, 0)
    into v_max_units, v_used_units, v_version
    from limit_day as d
    left join lateral (
      select e.used_units, e.version
      from usage_ledger as e
      where e.limit_id = d.limit_id and e.day = d.day
      order by e.version desc
      limit 1
    ) as latest on true
    where d.limit_id = v_charge.limit_id and d.day = v_charge.day;
    if not found then
      -- Nobody has booked the day: it has no entry, and the maximum of its limit.
      select l.max_units, 0, 0 into v_max_units, v_used_units, v_version
      from daily_limit as l
      where l.limit_id = v_charge.limit_id;
    end if;
    continue when v_used_units + v_charge.units <= v_max_units;
    -- What is given back on the same day stands before it, and makes room.
    continue when (v_given_back.limit_id, v_given_back.day) = (v_charge.limit_id, v_charge.day)
      and v_used_units + v_charge.units + v_given_back.units <= v_max_units;
    if v_reached.limit_id is null or v_charge.counted_at < v_reached.counted_at then
      v_reached := v_charge;
      v_reached_used_units := v_used_units;
      v_reached_max_units := v_max_units;
      v_reached_version := v_version;
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
      v_reached_used_units, v_reached_max_units, v_reached.units
    ),
    jsonb_build_object(
      'limit', v_reached.limit_id,
      'counted_at', v_reached.counted_at,
      'day', to_char(v_reached.day, 'YYYY-MM-DD'),
      'used', v_reached_used_units,
      'max', v_reached_max_units,
      'units', v_reached.units,
      'version', v_reached_version
    )
  )::refusal;
end;
$$;


-- lock_timeout bounds one wait; a call has several. Before each, what is left
-- of the budget becomes the timeout; the SET clause of the calling function
-- puts the session's own back. Past the deadline the least timeout remains: a
-- call that works for long, such as a batch, goes on as long as nobody is in
-- its way. A null deadline (a direct write) leaves the session's setting alone.
create or replace function bound_lock_wait(p_deadline timestamptz, p_waits integer default 1)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_left_ms float8;
  v_set text;
begin
  if p_deadline is null or p_deadline = 'infinity' then
    return;
  end if;
  v_left_ms := date_part('epoch', p_deadline - clock_timestamp()) * 1000;
  v_set := set_config('lock_timeout', greatest(floor(v_left_ms / p_waits), 1)::text, true);
end;
$$;


comment on function bound_lock_wait(timestamptz, integer) is
  'Lets the next statement, which may wait so many times, wait no longer than the deadline; past it, for no longer than a millisecond.';

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
      -- That may have been two waits: for its place in the queue, and for the lock.
      if clock_timestamp() > p_deadline then
        raise exception 'canceling statement due to lock timeout'
          using errcode = 'lock_not_available',
            hint = 'Another transaction held the lock of the day; try again.';
      end if;
      perform bound_lock_wait(p_deadline);
      v_waited := true;
    end if;
  end loop;
  return v_waited;
end;
$$;


-- Writes charges to the ledger, each with the balance after it. The days are
-- locked first, and the balances read by a later statement; the ledger's own
-- constraints refuse what would pass a maximum. A function has locked its days
-- already: then they bear this transaction's mark, and locking them again would
-- only cost time.
--
-- A limit that is counted otherwise than it was can be given back and taken on
-- one day. The second of these needs the balance after the first.
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
  v_locked boolean := true;
  v_charge charge;
  v_previous charge;
  v_now charge[] := '{}';
  v_later charge[] := '{}';
  v_written integer;
begin
  foreach v_charge in array p_charges loop
    perform from limit_day as d
    where d.limit_id = v_charge.limit_id
      and d.day = v_charge.day
      and v_me in (d.xmin, d.xmax);
    v_locked := v_locked and found;
    if (v_charge.limit_id, v_charge.day) = (v_previous.limit_id, v_previous.day) then
      v_later := v_later || v_charge;
    else
      v_now := v_now || v_charge;
    end if;
    v_previous := v_charge;
  end loop;
  if not v_locked then
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
    coalesce(latest.version, 0) + 1,
    p_reservation_id,
    case c.counted_at when 'upload' then p_attempt end,
    c.units,
    coalesce(latest.used_units, 0) + c.units,
    d.max_units,
    p_reason,
    clock_now(),
    caller_role()
  from unnest(v_now) as c
  join limit_day as d on d.limit_id = c.limit_id and d.day = c.day
  left join lateral (
    select e.used_units, e.version
    from usage_ledger as e
    where e.limit_id = c.limit_id and e.day = c.day
    order by e.version desc
    limit 1
  ) as latest on true
  on conflict on constraint usage_ledger_pkey do nothing;
  get diagnostics v_written = row_count;
  if v_written < cardinality(v_now) then
    perform raise_ledger_conflict();
  end if;
  if v_later <> '{}' then
    perform post_charges(p_reservation_id, p_attempt, v_later, p_reason);
  end if;
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
    v_refusal := blackout_refusal(
      p_reservation.channel_id, p_reservation.scheduled_publish_time
    );
    if v_refusal.code is not null then
      perform raise_refusal(v_refusal);
    end if;
  end if;
end;
$$;


-- The next free slots of a channel, as committed now, in the order of
-- times_of_day. A day on which a posting limit of the channel's own day is
-- reached is passed over as a whole: no time of it is free. Candidates that
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
  v_posting charge[] := array(
    select row(r.limit_id, l.counted_at, null, r.units)::charge
    from charge_rule as r
    join daily_limit as l on l.limit_id = r.limit_id
    where r.channel_id = p_channel.channel_id
      and r.video_type = p_type
      and l.counted_at = 'publish'
      and coalesce(l.time_zone, p_channel.time_zone) = p_channel.time_zone
  );
  v_rule charge;
  v_is_full boolean;
  v_time time;
  v_slot timestamptz;
  v_charges charge[];
  v_with_room charge[];
  v_full charge[];
  v_found integer := 0;
begin
  for v_ahead in 0 .. p_horizon_days - 1 loop
    v_day := v_first_day + v_ahead;
    v_is_full := false;
    foreach v_rule in array v_posting loop
      -- A day without an entry has nothing used, and the maximum of its limit.
      select coalesce(
        (
          select e.used_units + v_rule.units > e.max_units
          from usage_ledger as e
          where e.limit_id = l.limit_id and e.day = v_day
          order by e.version desc
          limit 1
        ),
        v_rule.units > l.max_units
      )
      into v_is_full
      from daily_limit as l
      where l.limit_id = v_rule.limit_id;
      exit when v_is_full;
    end loop;
    continue when v_is_full;
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


-- list_blackouts: the spans in which a channel publishes nothing.
--
--   p_channel  the channel
--   p_from     those that end after this instant; null: after the present one
--
-- Returns a row for each blackout, by its beginning: blackout_id; channel_id;
-- from_time (-infinity: it has no beginning); to_time, the first instant that
-- is free again (infinity: none); reason; created_at; created_by.
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function list_blackouts(
  p_channel text default 'default',
  p_from timestamptz default null
)
returns setof blackout
language plpgsql
stable
security definer
set search_path from current
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  return query
  select b.*
  from blackout as b
  where b.channel_id = v_channel.channel_id
    and b.to_time > coalesce(p_from, clock_now())
  order by b.from_time, b.blackout_id;
end;
$$;


comment on function list_blackouts(text, timestamptz) is
  'The blackouts of a channel that end after an instant (null: the present), by their beginning. Errors: SWARG SWCHN. Reads only.';

drop function days_with_room(channel, text, date, integer);

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
