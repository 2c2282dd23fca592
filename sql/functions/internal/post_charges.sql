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
  v_charge charge;
  v_usage record;
begin
  perform lock_days(p_charges, null);
  foreach v_charge in array p_charges loop
    v_usage := usage_of(v_charge.limit_id, v_charge.day);
    if v_charge.units > 0 and v_usage.used_units + v_charge.units > v_usage.max_units then
      perform raise_over_maximum(v_charge);
    end if;
    insert into usage_ledger (
      limit_id, day, version, reservation_id, attempt, units,
      used_units, max_units, reason, at, by
    )
    values (
      v_charge.limit_id,
      v_charge.day,
      v_usage.version + 1,
      p_reservation_id,
      case v_charge.counted_at when 'upload' then p_attempt end,
      v_charge.units,
      v_usage.used_units + v_charge.units,
      v_usage.max_units,
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
