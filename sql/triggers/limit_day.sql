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

comment on function follow_daily_limit() is
  'Trigger: gives a day its limit''s maximum; another maximum makes it an override.';

create trigger limit_day_follow
before insert or update of max_units, overridden on limit_day
for each row
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

comment on function record_maximum() is
  'Trigger: writes an entry of 0 units for a changed maximum (SWSTA, 40001).';

create trigger limit_day_record_override
after insert on limit_day
for each row
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
