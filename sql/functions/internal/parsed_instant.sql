create function parsed_instant(p_text text)
returns timestamptz
language plpgsql
immutable
set search_path from current
set datestyle = 'ISO, YMD'
as $$
begin
  if p_text !~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-]\d\d(:?\d\d)?)$' then
    return null;
  end if;
  return p_text::timestamptz;
exception
  when datetime_field_overflow or invalid_datetime_format
    or invalid_time_zone_displacement_value then return null;
end;
$$;

comment on function parsed_instant(text) is
  'An instant in ISO 8601 with its offset; null: the text is none.';
