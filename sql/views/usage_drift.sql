-- What does not add up. Empty, unless somebody wrote with triggers disabled,
-- or behind PostgreSQL's back. Days are compared with the sums of their
-- entries, reservations with what their status lets them hold.
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
  'held', h.limit_id, h.day, h.reservation_id, 0, h.units,
  case
    when r.reservation_id is null then 'the reservation is gone, its units are not given back'
    when h.units < 0 then 'more was given back than was taken'
    when r.upload_status in ('cancelled', 'failed')
      then format('the reservation is %s, its units are not given back', r.upload_status)
    else 'the reservation was moved, its units are on another day'
  end
from held as h
left join reservation as r on r.reservation_id = h.reservation_id
where r.reservation_id is null
  or h.units < 0
  or (r.upload_status = 'cancelled' and (h.attempt is null or h.attempt = r.attempt))
  or (r.upload_status = 'failed' and h.attempt is null)
  or (h.attempt is null and abs(h.day - r.local_date) > 1)
  or (h.attempt = r.attempt
    and abs(h.day - (r.upload_time at time zone 'UTC')::date) > 1)
union all
select
  'held', c.limit_id, null, r.reservation_id, c.units, 0,
  format('the reservation is %s, but nothing was charged for it', r.upload_status)
from reservation as r
join charge_rule as c
  on c.channel_id = r.channel_id
  and c.video_type = r.video_type
  and c.created_at <= r.charged_at
where r.upload_status in ('scheduled', 'uploading', 'completed')
  and not exists (
    select from held as h
    where h.reservation_id = r.reservation_id
      and (h.attempt is null or h.attempt = r.attempt)
  );

comment on view usage_drift is
  'What does not add up between reservations, ledger and maximums; empty, unless triggers were disabled. recalculate_usage repairs all but gaps.';
comment on column usage_drift.kind is
  'balance, gap or maximum (of a day), or held (of a reservation).';
comment on column usage_drift.limit_id is 'The limit.';
comment on column usage_drift.day is 'Day in the limit''s zone; null: nothing was charged on any.';
comment on column usage_drift.reservation_id is 'The reservation; null: it is about the day.';
comment on column usage_drift.expected_units is
  'What should stand there (units; of a gap, the number of entries).';
comment on column usage_drift.found_units is 'What stands there.';
comment on column usage_drift.detail is 'What is wrong, for a person.';
