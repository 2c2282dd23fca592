-- Books one row under the locks of its days, or keeps it as a conflict.
create function langflix_import_row(p_row langflix_row, p_source text)
returns langflix_result
language plpgsql
volatile
set search_path from current
as $$
declare
  v_reason text := coalesce(p_row.reason, langflix_clash(p_row.reservation));
  v_reservation reservation := p_row.reservation;
begin
  if v_reason is null then
    v_reservation.reservation_id := nextval('reservation_id_seq');
    insert into reservation
    values (v_reservation.*)
    on conflict do nothing;
    if found then
      insert into imported_reservation (reservation_id, source, source_id)
      values (v_reservation.reservation_id, p_source, p_row.source_id);
      return row(p_row.source_id, 'imported', v_reservation.reservation_id, null)::langflix_result;
    end if;
    -- Another booking, which shares no limit with this one, was faster.
    v_reason := coalesce(langflix_clash(v_reservation), 'its slot was taken meanwhile');
  end if;
  insert into import_conflict (source, row, reason)
  values (p_source, p_row.row, v_reason)
  on conflict do nothing;
  if not found then
    -- Another import kept it meanwhile.
    return row(p_row.row ->> 'id', 'known', null, null)::langflix_result;
  end if;
  return row(p_row.row ->> 'id', 'conflict', null, v_reason)::langflix_result;
end;
$$;

comment on function langflix_import_row(langflix_row, text) is
  'Books a row of LangFlix''s, or keeps it as an import conflict, and says which.';
