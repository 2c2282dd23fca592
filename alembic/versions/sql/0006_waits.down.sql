-- Puts the definitions back that revision 0005 left.

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
      'set_channel(text, text, interval)'::regprocedure,
      'override_day(text, date, integer)'::regprocedure,
      'account_upload(text, integer, date, text)'::regprocedure
    )
  ),
  true
);

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
    perform bound_lock_wait(p_deadline);
    perform from daily_limit as l where l.limit_id = v_limit_id for no key update;
  end loop;
  perform bound_lock_wait(p_deadline);
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


-- Who waits for whose lock on which day. A session that waits for a row holds,
-- or waits for, a lock on the row's place in its table, and that place leads
-- back to the day. A day that another session is only just creating has no place
-- yet: whoever waits for it is seen by what it is about to write.
create or replace view lock_waits as
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

alter function reserve_slot(date, text, time, text, text, text) reset jit;
alter function reserve_slot_at(timestamptz, text, text, text, text) reset jit;
alter function try_reserve_slot(date, text, time, text, text, text) reset jit;
alter function cancel_reservation(bigint, integer) reset jit;
alter function reserve_slots(jsonb, boolean) reset jit;
alter function reschedule_reservation(bigint, date, time, integer, text) reset jit;
alter function lock_day(date, text) reset jit;
alter function start_upload(bigint, interval) reset jit;
alter function claim_due_uploads(integer, interval, text) reset jit;
alter function complete_upload(bigint, uuid, text) reset jit;
alter function fail_upload(bigint, uuid, text) reset jit;
alter function retry_upload(bigint, date, time, integer, text) reset jit;
alter function record_usage(text, integer, date, text) reset jit;
alter function daily_status(date, text) reset jit;
alter function calendar(date, integer, text) reset jit;
alter function available_slots(text, date, integer, text, integer) reset jit;
alter function usage_history(date, date, text, text) reset jit;
alter function quota_warnings(date, integer, text, numeric) reset jit;
alter function import_langflix(jsonb, text, text, boolean) reset jit;
alter function rebook_import_conflict(bigint, date, time, text, text) reset jit;
alter function record_upload(text, text, text, text) reset jit;

drop function end_lock_wait(timestamptz);

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
