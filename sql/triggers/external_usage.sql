create function charge_external_usage()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  if new.units > 0 then
    perform post_charges(
      null, null, array[row(new.limit_id, 'publish', new.day, new.units)::charge], 'external'
    );
  end if;
  return null;
end;
$$;

comment on function charge_external_usage() is
  'Trigger: posts external usage to the ledger.';

create trigger external_usage_charge
after insert on external_usage
for each row
execute function charge_external_usage();

comment on trigger external_usage_charge on external_usage is
  'What something else has used counts like a booking.';

create trigger external_usage_append_only
before update or delete or truncate on external_usage
for each statement
execute function refuse_write();

comment on trigger external_usage_append_only on external_usage is
  'What is spent stays spent.';
