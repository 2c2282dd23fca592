create function refuse_write()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  -- Other triggers insert.
  if tg_op = 'INSERT' and pg_trigger_depth() > 1 then
    return null;
  end if;
  raise exception '% of % is refused', lower(tg_op), tg_table_name
    using errcode = 'SWSTA',
      detail = jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      hint = 'Usage changes through reservations and maximums, which write the ledger.';
end;
$$;

comment on function refuse_write() is
  'Trigger: refuses (SWSTA) the statement, but for an insert that another trigger makes.';
