create function raise_refusal(p_refusal refusal, p_hint text default null)
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  if p_refusal.code is null then
    return;
  end if;
  if p_hint is null then
    raise exception using
      errcode = p_refusal.code,
      message = p_refusal.message,
      detail = coalesce(p_refusal.detail, '{}')::text;
  end if;
  raise exception using
    errcode = p_refusal.code,
    message = p_refusal.message,
    detail = coalesce(p_refusal.detail, '{}')::text,
    hint = p_hint;
end;
$$;

comment on function raise_refusal(refusal, text) is
  'Raises a refusal, if there is one: SQLSTATE, message for a person, detail as JSON for a program.';
