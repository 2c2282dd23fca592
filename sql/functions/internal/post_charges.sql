-- Writes charges to the ledger. The days are locked first, and the balances
-- read by a later statement; the ledger's own constraints refuse what would
-- pass a maximum.
create function post_charges(
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
  v_posted integer;
begin
  -- A function has locked its days already: then they bear this transaction's
  -- mark, and locking them again would only cost time.
  if exists (
    select from unnest(p_charges) as c
    where not exists (
      select from limit_day as d
      where d.limit_id = c.limit_id
        and d.day = c.day
        and pg_current_xact_id()::xid in (d.xmin, d.xmax)
    )
  ) then
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
    usage.version + row_number() over same_day,
    p_reservation_id,
    case c.counted_at when 'upload' then p_attempt end,
    c.units,
    usage.used_units + sum(c.units) over same_day,
    d.max_units,
    p_reason,
    clock_now(),
    caller_role()
  from unnest(p_charges) as c
  cross join lateral usage_of(c.limit_id, c.day) as usage
  cross join lateral (
    select l.max_units
    from limit_day as l
    where l.limit_id = c.limit_id and l.day = c.day
    limit 1
  ) as d
  window same_day as (
    partition by c.limit_id, c.day order by c.units, c.counted_at
  )
  on conflict on constraint usage_ledger_pkey do nothing;
  get diagnostics v_posted = row_count;
  if v_posted <> cardinality(p_charges) then
    perform raise_ledger_conflict();
  end if;
end;
$$;

comment on function post_charges(bigint, integer, charge[], text) is
  'Appends charges of a reservation to the ledger; 40001 when another writer was first.';
