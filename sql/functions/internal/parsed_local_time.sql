create function parsed_local_time(p_date text, p_time text)
returns timestamp
language plpgsql
immutable
set search_path from current
set datestyle = 'ISO, YMD'
as $$
begin
  if p_date !~ '^\d{4}-\d\d-\d\d$' or p_time !~ '^([01]\d|2[0-3]):[0-5]\d(:00)?$' then
    return null;
  end if;
  return p_date::date + p_time::time;
exception
  when datetime_field_overflow or invalid_datetime_format then return null;
end;
$$;

comment on function parsed_local_time(text, text) is
  'A date YYYY-MM-DD and a time HH:MM; null: the texts are none.';
