-- Writes charges to the ledger, one by one, each with the balance after it. The
-- days are locked first, and the balances read by later statements; the
-- ledger's own constraints refuse what would pass a maximum. A function has
-- locked its days already: then they bear this transaction's mark, and locking
-- them again would only cost time.
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

comment on function post_charges(bigint, integer, charge[], text) is
  'Appends charges of a reservation to the ledger; 40001 when another writer was first.';
