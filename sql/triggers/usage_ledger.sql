-- The ledger is written by the triggers of reservation and limit_day, and
-- only added to.
create trigger usage_ledger_insert_by_triggers
before insert on usage_ledger
for each statement
execute function refuse_write();

comment on trigger usage_ledger_insert_by_triggers on usage_ledger is
  'Entries are written by the triggers of reservation and limit_day.';

create trigger usage_ledger_append_only
before update or delete or truncate on usage_ledger
for each statement
execute function refuse_write();

comment on trigger usage_ledger_append_only on usage_ledger is
  'What is written stays as it is.';
