-- What the ledger's check constraint is about to raise for a direct write, with
-- the message and the detail that the functions give.
create function refuse_over_maximum(p_charges charge[])
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_refusal refusal := limit_refusal(p_charges);
begin
  if v_refusal.code is null then
    return;
  end if;
  raise exception using
    errcode = 'check_violation',
    message = v_refusal.message,
    detail = v_refusal.detail::text,
    constraint = 'usage_ledger_within_maximum',
    table = 'usage_ledger',
    schema = current_schema();
end;
$$;

comment on function refuse_over_maximum(charge[]) is
  'Raises 23514 (usage_ledger_within_maximum), if the charges would pass a maximum.';
