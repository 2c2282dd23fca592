-- What a change of a reservation takes and gives back.
create function reservation_charges(p_old reservation, p_new reservation)
returns charge[]
language plpgsql
stable
set search_path from current
as $$
declare
  v_charges charge[];
  v_held charge[];
begin
  if p_new.upload_status in ('scheduled', 'uploading', 'completed', 'failed') then
    v_charges := array(
      select c
      from charges_for(
        p_new.channel_id, p_new.video_type,
        p_new.scheduled_publish_time, p_new.upload_time
      ) as c
      where p_new.upload_status <> 'failed' or c.counted_at = 'upload'
    );
  end if;
  if p_old is null then
    return coalesce(v_charges, '{}');
  end if;

  v_held := array(
    select h
    from charges_held(p_old.reservation_id, coalesce(p_new.attempt, p_old.attempt)) as h
  );
  return case
    when p_new is null or p_new.upload_status = 'cancelled'
      then net_charges('{}', v_held)
    when p_new.upload_status = 'failed'
      then net_charges('{}', array(select h from unnest(v_held) as h where h.counted_at = 'publish'))
    when p_new.charged_at is distinct from p_old.charged_at
      then net_charges(v_charges, v_held)
    when p_new.upload_status = 'uploading' and p_new.attempt > p_old.attempt
      then array(select c from unnest(v_charges) as c where c.counted_at = 'upload')
    when p_new.upload_status = 'uploading' and p_old.upload_status = 'scheduled'
      then net_charges(
        array(
          select row(
            h.limit_id,
            h.counted_at,
            case h.counted_at
              when 'publish' then h.day
              else (p_new.upload_time at time zone coalesce(l.time_zone, p_new.time_zone))::date
            end,
            h.units
          )::charge
          from unnest(v_held) as h
          join daily_limit as l on l.limit_id = h.limit_id
        ),
        v_held
      )
    else '{}'
  end;
end;
$$;

comment on function reservation_charges(reservation, reservation) is
  'The net charges of a change of a reservation, ordered by day and limit; a null row stands for none.';
