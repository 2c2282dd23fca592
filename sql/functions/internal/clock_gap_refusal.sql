create function clock_gap_refusal(p_local timestamp, p_zone text)
returns refusal
language plpgsql
stable
set search_path from current
as $$
declare
  v_edges timestamp[] := around_clock_gap(p_local, p_zone);
begin
  return row(
    'SWGAP',
    format('%s does not exist in %s: the clocks skip it; the nearest times are %s and %s',
      to_char(p_local, 'YYYY-MM-DD HH24:MI'), p_zone,
      to_char(v_edges[1], 'YYYY-MM-DD HH24:MI'), to_char(v_edges[2], 'YYYY-MM-DD HH24:MI')),
    jsonb_build_object(
      'date', to_char(p_local, 'YYYY-MM-DD'),
      'time', to_char(p_local, 'HH24:MI'),
      'time_zone', p_zone,
      'nearest', jsonb_build_array(
        to_char(v_edges[1], 'YYYY-MM-DD"T"HH24:MI'), to_char(v_edges[2], 'YYYY-MM-DD"T"HH24:MI')
      )
    )
  )::refusal;
end;
$$;

comment on function clock_gap_refusal(timestamp, text) is
  'SWGAP for a local time that the zone''s clocks skip.';
