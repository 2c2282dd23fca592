-- rebook_import_conflict: books the video of an import conflict, at a local
-- time or in the next free slot. The reservation is scheduled, whatever the row
-- was; record_upload says if the video is on YouTube already. It keeps the id
-- that it had in the other scheduler. Asking again returns the reservation, as
-- long as that is live.
--
--   p_import_conflict_id  the conflict, as list_import_conflicts shows it
--   p_date, p_time        the slot on the channel's wall clock; both null: the
--                         next free one
--   p_type                the video type; null: the row's
--   p_channel             the channel
--
-- Returns the reservation.
-- SQLSTATEs: SWARG SWNFD (no such conflict) SWCHN SWTYP SWGAP SWPST SWBLK SWDUP
-- SWTKN SWLIM SWNON, 55P03 after 5 s of waiting, or at once while somebody else
-- books the same conflict, 40001, 40P01.
-- Locks: the conflict; for the next free slot the channel; then the limit_day
-- rows that it charges.
create function rebook_import_conflict(
  p_import_conflict_id bigint,
  p_date date default null,
  p_time time default null,
  p_type text default null,
  p_channel text default 'default'
)
returns reservation
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
  v_conflict import_conflict;
  v_reservation reservation;
  v_type text;
begin
  if p_import_conflict_id is null then
    perform raise_refusal(
      invalid_argument('p_import_conflict_id', 'the id of an import conflict is needed')
    );
  elsif (p_date is null) <> (p_time is null) then
    perform raise_refusal(
      invalid_argument('p_date', 'a slot has a date and a time; without both, the next free one')
    );
  end if;
  select c.* into v_conflict
  from import_conflict as c
  where c.import_conflict_id = p_import_conflict_id
  for update nowait;
  if not found then
    raise exception 'there is no import conflict %', p_import_conflict_id
      using errcode = 'SWNFD',
        detail = jsonb_build_object('import_conflict_id', p_import_conflict_id);
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = v_conflict.reservation_id
    and r.upload_status in ('scheduled', 'uploading', 'completed');
  if found then
    return v_reservation;
  end if;

  v_type := coalesce(p_type, v_conflict.row ->> 'video_type');
  if p_date is null then
    v_reservation := reserve_next_slot(
      p_type => v_type, p_video => v_conflict.row ->> 'video_path', p_channel => p_channel
    );
  else
    v_reservation := reserve_slot(
      p_date, v_type, p_time, v_conflict.row ->> 'video_path', p_channel
    );
  end if;
  update import_conflict as c
  set reservation_id = v_reservation.reservation_id
  where c.import_conflict_id = p_import_conflict_id;
  if lower(v_conflict.row ->> 'id') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    insert into imported_reservation (reservation_id, source, source_id)
    values (v_reservation.reservation_id, v_conflict.source, lower(v_conflict.row ->> 'id'))
    on conflict on constraint imported_reservation_source_key
      do update set reservation_id = excluded.reservation_id;
  end if;
  return v_reservation;
end;
$$;

comment on function rebook_import_conflict(bigint, date, time, text, text) is
  'Books the video of an import conflict and returns the reservation. Errors: SWARG SWNFD SWCHN SWTYP SWGAP SWPST SWBLK SWDUP SWTKN SWLIM SWNON 55P03 40001 40P01. Locks: the conflict, then those of reserve_slot or reserve_next_slot.';
