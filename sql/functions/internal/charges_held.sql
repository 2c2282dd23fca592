-- What a reservation holds is what its ledger entries add up to, whatever the
-- rules say today. Units of earlier attempts are spent, so nobody holds them.
create function charges_held(p_reservation_id bigint, p_attempt integer)
returns setof charge
language sql
stable
begin atomic
  select held.limit_id, held.counted_at, held.day, held.units
  from (
    select
      e.limit_id,
      case when e.attempt is null then 'publish' else 'upload' end as counted_at,
      e.day,
      sum(e.units)::integer as units
    from usage_ledger as e
    where e.reservation_id = p_reservation_id
      and (e.attempt is null or e.attempt = p_attempt)
    group by e.limit_id, e.day, e.attempt
    having sum(e.units) <> 0
  ) as held
  order by held.day, held.limit_id;
end;

comment on function charges_held(bigint, integer) is
  'What a reservation holds for its slot and for one attempt, ordered by day and limit.';
