-- The last minute before and the first minute after a gap in local time, for
-- the error that names them. Minutes are halved down to the edge; the longest
-- gap so far was a day (Apia, 2011).
create function around_clock_gap(p_local timestamp, p_zone text)
returns timestamp[]
language plpgsql
stable
set search_path from current
as $$
declare
  v_edges timestamp[];
  v_direction integer;
  v_near integer;
  v_far integer;
  v_middle integer;
begin
  foreach v_direction in array array[-1, 1] loop
    v_near := 0;
    v_far := 25 * 60;
    while v_far - v_near > 1 loop
      v_middle := (v_near + v_far) / 2;
      if local_instant(p_local + v_direction * make_interval(mins => v_middle), p_zone) is null then
        v_near := v_middle;
      else
        v_far := v_middle;
      end if;
    end loop;
    v_edges := v_edges || (p_local + v_direction * make_interval(mins => v_far));
  end loop;
  return v_edges;
end;
$$;

comment on function around_clock_gap(timestamp, text) is
  'The local times just before and just after the gap that a local time falls into.';
