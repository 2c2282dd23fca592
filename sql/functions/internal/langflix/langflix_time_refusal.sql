create function langflix_time_refusal(p_text text, p_zone text)
returns text
language plpgsql
stable
set search_path from current
as $$
declare
  v_instant timestamptz := langflix_instant(p_text, p_zone);
begin
  return case
    when p_text is null then 'it has no publish time'
    when v_instant is not null then (publish_time_refusal(langflix_whole_minute(v_instant))).message
    when langflix_local_time(p_text) is not null
      then (clock_gap_refusal(date_trunc('minute', langflix_local_time(p_text)), p_zone)).message
    else format('its publish time %L cannot be read', left(p_text, 100))
  end;
end;
$$;

comment on function langflix_time_refusal(text, text) is
  'Why a publish time of LangFlix''s can be no slot; null: it can.';
