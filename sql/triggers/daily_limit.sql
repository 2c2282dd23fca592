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
