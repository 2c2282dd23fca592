-- Frozen: what this revision changed in sql/.

-- The lock budget may have been set by "alter function"; it outlasts what follows.
select set_config(
  'slotwarden.kept_budget',
  (
    select substr(setting, length('lock_timeout=') + 1)
    from pg_proc as p
    cross join unnest(p.proconfig) as setting
    where p.oid = 'claim_due_uploads(integer, interval, text)'::regprocedure
      and setting like 'lock_timeout=%'
  ),
  true
);

create or replace function claim_due_uploads(
  p_count integer default 1,
  p_lease interval default '15 minutes',
  p_channel text default null
)
returns setof reservation
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_deadline timestamptz := lock_deadline();
  -- One moment for the whole call, so that nothing is due again within it.
  v_now timestamptz := clock_now();
  v_round reservation[];
  v_due reservation;
  v_last reservation;
  v_locked charge[];
  v_charges charge[];
  v_reservation reservation;
  v_claimed integer := 0;
  v_holds boolean := false;
begin
  if p_count is null or p_count not between 1 and 1000 then
    perform raise_refusal(invalid_argument('p_count', 'one can claim 1 to 1000 uploads'));
  end if;
  if p_lease is null then
    perform raise_refusal(invalid_argument('p_lease', 'a lease is needed'));
  end if;
  perform raise_refusal(lease_refusal(p_lease));
  if p_channel is not null then
    perform require_channel(p_channel);
  end if;

  while v_claimed < p_count loop
    v_round := due_uploads(p_channel, v_now, v_last, p_count - v_claimed);
    exit when cardinality(v_round) = 0;
    v_last := v_round[cardinality(v_round)];
    -- Days come before reservations in the order of locks, so only the first
    -- round with an upload that fits and is free may wait for days; later ones
    -- take what needs no others.
    if v_locked is null then
      v_round := array(
        select r
        from unnest(v_round) as r
        where (limit_refusal(start_charges(r))).code is null
        order by r.upload_time, r.reservation_id
      );
      continue when cardinality(v_round) = 0;
      v_locked := array(
        select c
        from unnest(v_round) as r
        cross join unnest(start_charges(r)) as c
        order by c.day, c.limit_id
      );
      perform lock_days(v_locked, v_deadline);
    end if;
    foreach v_due in array v_round loop
      select r.* into v_reservation
      from reservation as r
      where r.reservation_id = v_due.reservation_id
      for update skip locked;
      continue when not found;
      -- Asked once it is locked: a row that fails a condition of the locking
      -- query, since another has changed it, stays locked all the same.
      v_holds := true;
      continue when not is_due(v_reservation, v_now);
      v_charges := start_charges(v_reservation);
      continue when exists (
        select from unnest(v_charges) as c
        where not exists (
          select from unnest(v_locked) as l
          where l.limit_id = c.limit_id and l.day = c.day
        )
      );
      continue when (limit_refusal(v_charges)).code is not null;
      v_claimed := v_claimed + 1;
      return next begin_attempt(v_reservation, p_lease);
    end loop;
    if v_locked = '{}' and not v_holds then
      v_locked := null;
    end if;
  end loop;
end;
$$;

do $kept_budget$
declare
  v_budget text := nullif(current_setting('slotwarden.kept_budget'), '');
begin
  execute 'alter function claim_due_uploads(integer, interval, text)'
    || case
      when v_budget is null then ' reset lock_timeout'
      else format(' set lock_timeout = %L', v_budget)
    end;
end;
$kept_budget$;

create or replace function is_due(p_reservation reservation, p_now timestamptz)
returns boolean
language sql
immutable
return case (p_reservation).upload_status
  when 'scheduled' then (p_reservation).upload_time <= p_now
  -- Without a lease there is nothing to run out.
  when 'uploading' then coalesce((p_reservation).lease_expires_at <= p_now, false)
  else false
end;
