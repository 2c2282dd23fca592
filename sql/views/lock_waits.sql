-- Who waits for whose lock on which day. A session that waits for a row holds,
-- or waits for, a lock on the row's place in its table, and that place leads
-- back to the day.
create view lock_waits as
select
  waiting.pid as waiting_pid,
  pg_blocking_pids(waiting.pid) as blocking_pids,
  d.limit_id,
  d.day,
  activity.usename::text as waiting_role,
  activity.application_name as waiting_application,
  activity.query_start as waiting_since
from pg_locks as waiting
join limit_day as d
  on d.ctid = format('(%s,%s)', waiting.page, waiting.tuple)::tid
left join pg_stat_activity as activity on activity.pid = waiting.pid
where waiting.locktype = 'tuple'
  and waiting.database = (
    select b.oid from pg_database as b where b.datname = current_database()
  )
  and waiting.relation = 'limit_day'::regclass
  and cardinality(pg_blocking_pids(waiting.pid)) > 0;

comment on view lock_waits is
  'Sessions that wait for the lock of a day, and the sessions that they wait for.';
comment on column lock_waits.waiting_pid is 'Process that waits.';
comment on column lock_waits.blocking_pids is
  'Processes that it waits for: the holder, and those before it in the queue.';
comment on column lock_waits.limit_id is 'The limit.';
comment on column lock_waits.day is 'Day in the limit''s zone.';
comment on column lock_waits.waiting_role is 'Role of the waiting session.';
comment on column lock_waits.waiting_application is 'Its application_name.';
comment on column lock_waits.waiting_since is 'When its statement began.';
