-- Every day of a limit that has a lock or an override: used and maximum.
create view daily_usage as
select
  d.limit_id,
  l.counted_at,
  d.day,
  coalesce(latest.used_units, 0) as used_units,
  d.max_units,
  greatest(d.max_units - coalesce(latest.used_units, 0), 0) as remaining_units,
  d.overridden,
  coalesce(latest.version, 0) as version
from limit_day as d
join daily_limit as l on l.limit_id = d.limit_id
left join lateral (
  select e.used_units, e.version
  from usage_ledger as e
  where e.limit_id = d.limit_id and e.day = d.day
  order by e.version desc
  limit 1
) as latest on true;

comment on view daily_usage is
  'Used and maximum of every day of a limit that was ever booked or overridden.';
comment on column daily_usage.limit_id is 'The limit.';
comment on column daily_usage.counted_at is 'publish or upload.';
comment on column daily_usage.day is 'Day in the limit''s zone.';
comment on column daily_usage.used_units is 'Units used: the balance of the ledger.';
comment on column daily_usage.max_units is 'Maximum in force on that day.';
comment on column daily_usage.remaining_units is
  'What can still be taken; 0 where the maximum was lowered below what is used.';
comment on column daily_usage.overridden is 'Whether the day has a maximum of its own.';
comment on column daily_usage.version is 'Version of the usage; 0: never changed.';
