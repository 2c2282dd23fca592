-- The work of recalculate_usage. All days are locked first, in their order;
-- days are recounted before reservations are charged on them.
create function repair_usage(
  p_from date,
  p_to date,
  p_recharge boolean,
  p_deadline timestamptz
)
returns usage_change[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_days charge[];
  v_drifting bigint[];
  v_ids bigint[];
  v_id bigint;
  v_day charge;
  v_before integer;
  v_after integer;
  v_changes usage_change[] := '{}';
begin
  v_days := array(
    select distinct row(u.limit_id, null, u.day, 0)::charge
    from usage_drift as u
    where u.day between p_from and p_to
      and (
        u.kind in ('balance', 'maximum')
        or u.kind = 'held' and not exists (
          select from reservation as r where r.reservation_id = u.reservation_id
        )
      )
  );
  v_drifting := array(
    select distinct u.reservation_id from usage_drift as u where u.reservation_id is not null
  );
  v_ids := array(
    select r.reservation_id
    from reservation as r
    where r.local_date between p_from and p_to
      and (
        r.reservation_id = any (v_drifting)
        or p_recharge
          and r.upload_status = 'scheduled'
          and r.scheduled_publish_time > clock_now()
      )
    order by r.scheduled_publish_time, r.reservation_id
  );
  perform lock_days(
    sorted_charges(v_days || array(
      select c
      from reservation as r
      cross join lateral (
        select h from charges_held(r.reservation_id, r.attempt) as h
        union all
        select f
        from charges_for(
          r.channel_id, r.video_type, r.scheduled_publish_time,
          (as_recharged(r)).upload_time
        ) as f
      ) as affected (c)
      where r.reservation_id = any (v_ids)
    )),
    p_deadline
  );

  foreach v_day in array v_days loop
    select u.used_units into v_before from usage_of(v_day.limit_id, v_day.day) as u;
    update limit_day as d
    set day = d.day
    where d.limit_id = v_day.limit_id and d.day = v_day.day;
    select u.used_units into v_after from usage_of(v_day.limit_id, v_day.day) as u;
    v_changes := v_changes || row(
      null, v_day.limit_id, v_day.day, 'recount', v_before, v_after,
      'the balance is the sum of the entries'
    )::usage_change;
  end loop;

  foreach v_id in array v_ids loop
    perform bound_lock_wait(p_deadline);
    v_changes := v_changes || recharge_reservation(v_id, v_id = any (v_drifting));
  end loop;

  -- Where more was given back than taken, no balance could be the sum before
  -- its reservations were charged again.
  update limit_day as d
  set day = d.day
  from unnest(v_days) as c
  join usage_drift as u
    on u.kind = 'balance' and u.limit_id = c.limit_id and u.day = c.day
  where d.limit_id = c.limit_id and d.day = c.day;
  return v_changes;
end;
$$;

comment on function repair_usage(date, date, boolean, timestamptz) is
  'Recounts, repairs and re-charges a span of days; returns what it changed; 55P03, 40001.';
