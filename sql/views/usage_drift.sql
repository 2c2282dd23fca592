-- What does not add up. Empty, unless somebody wrote with triggers disabled,
-- or behind PostgreSQL's back. Days are compared with the sums of their
-- entries, reservations with what they say that they hold.
create view usage_drift as
with day_sum as (
  select
    e.limit_id,
    e.day,
    sum(e.units)::integer as units,
    max(e.version) as last_version,
    count(*)::integer as entries
  from usage_ledger as e
  group by e.limit_id, e.day
),
day_latest as (
  select s.*, e.used_units, e.max_units
  from day_sum as s
  join usage_ledger as e
    on e.limit_id = s.limit_id and e.day = s.day and e.version = s.last_version
),
held as (
  select e.reservation_id, e.limit_id, e.day, e.attempt, sum(e.units)::integer as units
  from usage_ledger as e
  where e.reservation_id is not null
  group by e.reservation_id, e.limit_id, e.day, e.attempt
  having sum(e.units) <> 0
),
held_sum as (
  select r.reservation_id, sum(h.units)::integer as units
  from reservation as r
  join held as h
    on h.reservation_id = r.reservation_id
    and (h.attempt is null or h.attempt = r.attempt)
  group by r.reservation_id
)
select
  'balance' as kind,
  d.limit_id,
  d.day,
  null::bigint as reservation_id,
  d.units as expected_units,
  d.used_units as found_units,
  'the balance is not the sum of the entries' as detail
from day_latest as d
where d.units <> d.used_units
union all
select
  'gap', d.limit_id, d.day, null, d.last_version, d.entries,
  'versions are missing: entries were deleted'
from day_latest as d
where d.last_version <> d.entries
union all
select
  'maximum', d.limit_id, d.day, null, l.max_units, d.max_units,
  'the maximum was changed without an entry'
from day_latest as d
left join limit_day as l on l.limit_id = d.limit_id and l.day = d.day
where l.max_units is distinct from d.max_units
union all
select
  'held', null, null, r.reservation_id, r.held_units, coalesce(h.units, 0),
  format('the reservation is %s, but the ledger has other units of it', r.upload_status)
from reservation as r
left join held_sum as h on h.reservation_id = r.reservation_id
where r.held_units <> coalesce(h.units, 0)
union all
select
  'held', null, null, r.reservation_id, 0, r.held_units,
  format('the reservation was cancelled, and is %s', r.upload_status)
from reservation as r
where r.upload_status <> 'cancelled'
  and r.reservation_id in (
    select e.reservation_id
    from usage_ledger as e
    where e.reason = 'cancel'
      and not exists (
        select from usage_ledger as later
        where later.reservation_id = e.reservation_id and later.at > e.at
      )
  )
union all
select
  'external', coalesce(u.limit_id, e.limit_id), coalesce(u.day, e.day), null,
  coalesce(u.units, 0), coalesce(e.units, 0),
  'what something else has used is not what the ledger has of it'
from (
  select x.limit_id, x.day, sum(x.units)::integer as units
  from external_usage as x
  group by x.limit_id, x.day
) as u
full join (
  select l.limit_id, l.day, sum(l.units)::integer as units
  from usage_ledger as l
  where l.reason = 'external'
  group by l.limit_id, l.day
) as e on e.limit_id = u.limit_id and e.day = u.day
where coalesce(u.units, 0) <> coalesce(e.units, 0)
union all
select
  'held', h.limit_id, h.day, h.reservation_id, 0, h.units,
  case
    when r.reservation_id is null then 'the reservation is gone, its units are not given back'
    when h.units < 0 then 'more was given back than was taken'
    when r.upload_status = 'failed' then 'the reservation has failed, its slot is not given back'
    else 'the reservation was moved, its units are on another day'
  end
from held as h
left join reservation as r on r.reservation_id = h.reservation_id
where r.reservation_id is null
  or h.units < 0
  or (h.attempt is null and r.upload_status = 'failed')
  -- Zones lie up to 26 hours apart.
  or (h.attempt is null and abs(h.day - r.local_date) > 2)
  or (h.attempt = r.attempt and abs(h.day - (r.upload_time at time zone 'UTC')::date) > 2);

comment on view usage_drift is
  'What does not add up between reservations, ledger and maximums; empty, unless triggers were disabled. recalculate_usage repairs balances and what reservations hold.';
comment on column usage_drift.kind is
  'balance, gap, maximum or external (of a day), or held (of a reservation).';
comment on column usage_drift.limit_id is 'The limit; null: all that the reservation is charged.';
comment on column usage_drift.day is 'Day in the limit''s zone; null: all its days.';
comment on column usage_drift.reservation_id is 'The reservation; null: it is about the day.';
comment on column usage_drift.expected_units is
  'What should stand there (units; of a gap, the number of entries).';
comment on column usage_drift.found_units is 'What stands there.';
comment on column usage_drift.detail is 'What is wrong, for a person.';
