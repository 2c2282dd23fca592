-- recalculate_usage: recounts the days and reservations of a span, and repairs
-- what usage_drift shows of them; on demand, re-charges future bookings.
--
--   p_from, p_to  first and last day: local days of reservations, and days of
--                 limits
--   p_dry_run     only say what would be done: it is done and taken back, so
--                 what is said is exact
--   p_recharge    apply today's zones, leads, rules and limits to bookings that
--                 are scheduled for the future; without it they keep what they
--                 were charged
--
-- Returns a row for each change:
--   reservation_id  the reservation; null: the balance of the day
--   limit_id, day   the limit, and its day
--   action          charge, release, recount; or refused: left as it is
--   units_before    what the reservation held (the balance was)
--   units_after     what it holds now (the balance is)
--   detail          why, for a person
-- SQLSTATEs: SWARG, 55P03 after 5 s of waiting, 40001.
-- Locks: the days that it changes, then the reservations, in their order.
create function recalculate_usage(
  p_from date,
  p_to date,
  p_dry_run boolean default false,
  p_recharge boolean default false
)
returns table (
  reservation_id bigint,
  limit_id text,
  day date,
  action text,
  units_before integer,
  units_after integer,
  detail text
)
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_changes usage_change[];
begin
  if p_from is null or p_to is null or p_from > p_to then
    perform raise_refusal(
      invalid_argument('p_from', 'a span of days has a first and a last day, in this order')
    );
  end if;
  if p_dry_run then
    begin
      v_changes := repair_usage(p_from, p_to, coalesce(p_recharge, false), v_deadline);
      raise exception using errcode = 'SWDRY';
    exception
      when sqlstate 'SWDRY' then null;
    end;
  else
    v_changes := repair_usage(p_from, p_to, coalesce(p_recharge, false), v_deadline);
  end if;
  return query
  select
    c.reservation_id, c.limit_id, c.day, c.action,
    c.units_before, c.units_after, c.detail
  from unnest(v_changes) as c;
end;
$$;

comment on function recalculate_usage(date, date, boolean, boolean) is
  'Recounts a span of days, repairs drift and, on demand, re-charges future bookings; returns what it changed. Errors: SWARG 55P03 40001. Locks: the days that it changes, then the reservations.';
