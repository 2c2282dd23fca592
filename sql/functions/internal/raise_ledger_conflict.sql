create function raise_ledger_conflict()
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  raise exception 'could not write the next version of a usage: another transaction wrote it first'
    using errcode = 'serialization_failure',
      hint = 'Try the transaction again.';
end;
$$;

comment on function raise_ledger_conflict() is
  'Raises 40001 for a version of a usage that another transaction wrote first.';
