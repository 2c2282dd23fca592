-- The ledger is written by the triggers of reservation and limit_day, and
-- only added to.
create function refuse_direct_insert()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if pg_trigger_depth() = 1 then
    raise exception 'insert into % is refused', tg_table_name
      using errcode = 'SWSTA',
        detail = jsonb_build_object('table', tg_table_name, 'operation', tg_op),
        hint = 'Usage changes through reservations and maximums, which write the ledger.';
  end if;
  return null;
end;
$$;

comment on function refuse_direct_insert() is
  'Trigger: refuses (SWSTA) an insert that no other trigger makes.';

create trigger usage_ledger_insert_by_triggers
before insert on usage_ledger
for each statement
execute function refuse_direct_insert();

comment on trigger usage_ledger_insert_by_triggers on usage_ledger is
  'Entries are written by the triggers of reservation and limit_day.';

create trigger usage_ledger_append_only
before update or delete or truncate on usage_ledger
for each statement
execute function refuse_write();

comment on trigger usage_ledger_append_only on usage_ledger is
  'What is written stays as it is.';
