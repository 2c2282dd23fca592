-- The channel is locked before the limit, as when a channel changes its zone.
create function check_charge_rule()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  perform from channel as c where c.channel_id = new.channel_id for share;
  perform check_shared_zone(new.limit_id);
  return null;
end;
$$;

comment on function check_charge_rule() is
  'Trigger: refuses (SWARG) a rule that makes channels of several zones share a limit without one.';

create trigger charge_rule_check
after insert or update of channel_id, limit_id on charge_rule
for each row
execute function check_charge_rule();

comment on trigger charge_rule_check on charge_rule is
  'A limit without a zone of its own is charged by channels of one zone.';
