-- Who waits for whose lock on which day. A session that waits for a row holds,
-- or waits for, a lock on the row's place in its table, and that place leads
-- back to the day. A day that another session is only just creating has no place
-- yet: whoever waits for it is seen by what it is about to write.
create view lock_waits as
with lock as (
  -- Of this database only: tables of others, such as its copies, may have the same numbers.
  select l.pid, l.locktype, l.relation, l.page, l.tuple, l.mode, l.granted
  from pg_locks as l
  join pg_stat_activity as a on a.pid = l.pid and a.datname = current_database()
),
waiting as (
  select l.pid, l.page, l.tuple
  from lock as l
  where l.locktype = 'tuple'
    and l.relation = 'limit_day'::regclass
  union all
  select l.pid, null::integer as page, null::smallint as tuple
  from lock as l
  where l.locktype = 'transactionid'
    and not l.granted
    and (
      select array_agg(distinct written.relation) = array['limit_day'::regclass::oid]
      from lock as written
      join pg_class as c on c.oid = written.relation and c.relkind = 'r'
      where written.pid = l.pid
        and written.locktype in ('relation', 'tuple')
        and (written.mode = 'RowExclusiveLock' or written.locktype = 'tuple')
    )
    and not exists (
      select from lock as place where place.pid = l.pid and place.locktype = 'tuple'
    )
)
select
  waiting.pid as waiting_pid,
  pg_blocking_pids(waiting.pid) as blocking_pids,
  d.limit_id,
  d.day,
  activity.usename::text as waiting_role,
  activity.application_name as waiting_application,
  activity.query_start as waiting_since
from waiting
left join limit_day as d
  on d.ctid = format('(%s,%s)', waiting.page, waiting.tuple)::tid
left join pg_stat_activity as activity on activity.pid = waiting.pid
where cardinality(pg_blocking_pids(waiting.pid)) > 0
  and (d.day is not null or waiting.page is null);

comment on view lock_waits is
  'Sessions that wait for the lock of a day, and the sessions that they wait for.';
comment on column lock_waits.waiting_pid is 'Process that waits.';
comment on column lock_waits.blocking_pids is
  'Processes that it waits for: the holder, and those before it in the queue.';
comment on column lock_waits.limit_id is
  'The limit; null: of a day that another session is creating.';
comment on column lock_waits.day is
  'Day in the limit''s zone; null: another session is creating it.';
comment on column lock_waits.waiting_role is 'Role of the waiting session.';
comment on column lock_waits.waiting_application is 'Its application_name.';
comment on column lock_waits.waiting_since is 'When its statement began; null for readers without pg_read_all_stats.';
