-- Applies today's rules to one reservation, under the locks of its days. What
-- would pass a maximum is left as it is and said.
create function recharge_reservation(p_reservation_id bigint, p_drifts boolean)
returns usage_change[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reservation reservation;
  v_recharged reservation;
  v_charges charge[];
  v_held charge[];
  v_refusal refusal;
begin
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id
  for update;
  if not found or not p_drifts and (
    v_reservation.upload_status <> 'scheduled'
    or v_reservation.scheduled_publish_time <= clock_now()
  ) then
    -- What was started while its days were waited for keeps what it was charged;
    -- what was deleted holds nothing.
    return '{}';
  end if;
  v_recharged := as_recharged(v_reservation);
  v_charges := reservation_charges(v_reservation, v_recharged);
  v_held := array(
    select h from charges_held(v_reservation.reservation_id, v_reservation.attempt) as h
  );
  if cardinality(v_charges) = 0 then
    if v_reservation.held_units <> units_of(v_held)
      or (v_recharged.time_zone, v_recharged.local_date, v_recharged.upload_time)
        <> (v_reservation.time_zone, v_reservation.local_date, v_reservation.upload_time)
    then
      update reservation as r
      set charged_at = clock_now()
      where r.reservation_id = p_reservation_id;
    end if;
    if v_reservation.held_units = units_of(v_held) then
      return '{}';
    end if;
    return array[row(
      p_reservation_id, null, null, 'recount', v_reservation.held_units, units_of(v_held),
      'what it says that it holds is what the ledger says'
    )::usage_change];
  end if;
  v_refusal := limit_refusal(v_charges);
  if v_refusal.code is null then
    update reservation as r
    set charged_at = clock_now()
    where r.reservation_id = p_reservation_id;
  end if;
  return array(
    select row(
      p_reservation_id,
      c.limit_id,
      c.day,
      case
        when v_refusal.code is not null then 'refused'
        when c.units > 0 then 'charge'
        else 'release'
      end,
      held.units,
      held.units + case when v_refusal.code is null then c.units else 0 end,
      coalesce(v_refusal.message, format('the reservation is %s', v_reservation.upload_status))
    )::usage_change
    from unnest(v_charges) as c
    cross join lateral (
      select coalesce(sum(h.units), 0)::integer as units
      from unnest(v_held) as h
      where h.limit_id = c.limit_id and h.day = c.day
    ) as held
  );
end;
$$;

comment on function recharge_reservation(bigint, boolean) is
  'Applies today''s rules to a reservation, if it drifts or is scheduled for the future; returns what changed, or refused where a maximum is reached.';
