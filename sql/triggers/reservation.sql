-- A booking is an insert, a release is a change of status, a move is both.
-- These triggers are the only place that charges, so the rules hold whoever
-- writes.
--
-- Triggers that fire at every booking ask their question in the function and
-- have no "when": PostgreSQL parses a trigger's condition anew in each
-- statement, which costs more than the call.

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

comment on function complete_reservation() is
  'Trigger: fills local_date, time_zone, upload_time and held_units of a direct insert (SWCHN).';

create trigger reservation_complete
before insert on reservation
for each row
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
  if tg_op = 'UPDATE' and new.held_units <> units_of(array(
    select h from charges_held(new.reservation_id, new.attempt) as h
  )) then
    raise exception 'the charges of the reservation changed while it was changed'
      using errcode = 'serialization_failure', hint = 'Try the transaction again.';
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
