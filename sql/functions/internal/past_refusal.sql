create function past_refusal(p_publish_time timestamptz, p_zone text)
returns refusal
language plpgsql
volatile
set search_path from current
as $$
declare
  v_now timestamptz := clock_now();
begin
  if p_publish_time > v_now then
    return null;
  end if;
  return row(
    'SWPST',
    format('%s is in the past', local_text(p_publish_time, p_zone)),
    jsonb_build_object('publish_time', utc_text(p_publish_time), 'now', utc_text(v_now))
  )::refusal;
end;
$$;

comment on function past_refusal(timestamptz, text) is
  'SWPST, if the instant is not ahead of the clock; else null.';
