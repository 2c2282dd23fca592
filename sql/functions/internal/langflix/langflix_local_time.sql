create function langflix_local_time(p_text text)
returns timestamp
language plpgsql
stable
set search_path from current
as $$
begin
  if p_text !~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?$' then
    return null;
  end if;
  return p_text::timestamp;
exception
  when datetime_field_overflow or invalid_datetime_format then return null;
end;
$$;

comment on function langflix_local_time(text) is
  'A time in ISO 8601 without an offset; null: the text is none.';
