-- Writes charges to the ledger, each with the balance after it. The days are
-- locked first, and the balances read by a later statement; the ledger's own
-- constraints refuse what would pass a maximum. A function has locked its days
-- already: then they bear this transaction's mark, and locking them again would
-- only cost time.
--
-- A limit that is counted otherwise than it was can be given back and taken on
-- one day. The second of these needs the balance after the first.
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

comment on function post_charges(bigint, integer, charge[], text) is
  'Appends charges of a reservation to the ledger; 40001 when another writer was first.';
