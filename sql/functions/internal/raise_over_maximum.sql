-- What the ledger's check constraint would raise for a direct write, with the
-- message and detail that the functions give.
create function raise_over_maximum(p_charge charge)
returns void
language plpgsql
stable
set search_path from current
as $$
declare
  v_refusal refusal := limit_refusal(array[p_charge]);
begin
  raise exception using
    errcode = 'check_violation',
    message = v_refusal.message,
    detail = v_refusal.detail::text,
    constraint = 'usage_ledger_within_maximum',
    table = 'usage_ledger',
    schema = current_schema();
end;
$$;

comment on function raise_over_maximum(charge) is
  'Raises 23514 (usage_ledger_within_maximum) for a charge that passes a maximum.';
