-- Whether an import has settled a row already: as a reservation, or as a
-- conflict, which has a reservation once it was re-booked.
create function langflix_known(
  p_row langflix_row,
  p_source text,
  out is_known boolean,
  out reservation_id bigint
)
returns record
language plpgsql
volatile
set search_path from current
as $$
begin
  select i.reservation_id into reservation_id
  from imported_reservation as i
  where i.source = p_source and i.source_id = p_row.source_id;
  is_known := found;
  if not is_known then
    select c.reservation_id into reservation_id
    from import_conflict as c
    where c.source = p_source and lower(c.row ->> 'id') = p_row.source_id;
    is_known := found;
  end if;
  if not is_known then
    select c.reservation_id into reservation_id
    from import_conflict as c
    where c.source = p_source and md5(c.row::text) = md5((p_row.row)::text);
    is_known := found;
  end if;
end;
$$;

comment on function langflix_known(langflix_row, text) is
  'Whether a row was imported or kept as a conflict before, and the reservation that it became.';
