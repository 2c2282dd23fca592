-- LangFlix wrote what it was given: with an offset that is an instant, without
-- one it was meant on the channel's wall clock.
create function langflix_instant(p_text text, p_zone text)
returns timestamptz
language plpgsql
stable
set search_path from current
as $$
begin
  if p_text ~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d){0,2})$'
  then
    return p_text::timestamptz;
  end if;
  return local_instant(langflix_local_time(p_text), p_zone);
exception
  when datetime_field_overflow or invalid_datetime_format
    or invalid_time_zone_displacement_value then return null;
end;
$$;

comment on function langflix_instant(text, text) is
  'The instant that LangFlix meant by a time, in ISO 8601; null: there is none.';
