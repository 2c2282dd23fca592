-- Who holds the slot or the video of a row. Named by the id that LangFlix
-- knows where there is one: that stays the same from a dry run to the import.
create function langflix_clash(p_reservation reservation)
returns text
language plpgsql
volatile
set search_path from current
as $$
declare
  v_holder reservation;
  v_name text;
begin
  if p_reservation.upload_status not in ('scheduled', 'uploading', 'completed') then
    return null;
  end if;
  select r.* into v_holder
  from reservation as r
  where r.channel_id = p_reservation.channel_id
    and r.scheduled_publish_time = p_reservation.scheduled_publish_time
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if not found then
    select r.* into v_holder
    from reservation as r
    where r.channel_id = p_reservation.channel_id
      and r.video_path = p_reservation.video_path
      and r.upload_status in ('scheduled', 'uploading', 'completed');
  end if;
  if v_holder.reservation_id is null then
    return null;
  end if;

  v_name := coalesce(
    (
      select 'row ' || i.source_id
      from imported_reservation as i
      where i.reservation_id = v_holder.reservation_id
    ),
    'reservation ' || v_holder.reservation_id
  );
  return case
    when v_holder.scheduled_publish_time = p_reservation.scheduled_publish_time then format(
      'slot %s is taken by %s',
      local_text(p_reservation.scheduled_publish_time, p_reservation.time_zone), v_name
    )
    else format(
      'video %L is booked already, by %s for %s',
      p_reservation.video_path, v_name,
      local_text(v_holder.scheduled_publish_time, p_reservation.time_zone)
    )
  end;
end;
$$;

comment on function langflix_clash(reservation) is
  'Which live booking holds the slot or the video of a row; null: none does.';
