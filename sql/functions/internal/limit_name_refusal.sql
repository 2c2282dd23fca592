create function limit_name_refusal(p_limit text)
returns refusal
language plpgsql
stable
set search_path from current
as $$
begin
  if exists (select from daily_limit as l where l.limit_id = p_limit) then
    return null;
  end if;
  return invalid_argument('p_limit', format('there is no daily limit %L', left(p_limit, 200)));
end;
$$;

comment on function limit_name_refusal(text) is
  'SWARG, if there is no such limit; else null.';
