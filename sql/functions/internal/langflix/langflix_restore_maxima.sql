-- A past day keeps the maximum that it had, though its limit has another now;
-- as an override, since a day that is not overridden follows its limit.
create function langflix_restore_maxima(p_days limit_day[])
returns langflix_result[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_day limit_day;
  v_used_units integer;
  v_results langflix_result[] := '{}';
begin
  for v_day in
    select distinct on (d.day, d.limit_id) d.limit_id, d.day, d.max_units, d.overridden
    from unnest(p_days) with ordinality as d (limit_id, day, max_units, overridden, place)
    order by d.day, d.limit_id, d.place
  loop
    update limit_day as d
    set
      max_units = v_day.max_units,
      overridden = v_day.overridden or v_day.max_units <> l.max_units
    from daily_limit as l
    where l.limit_id = d.limit_id
      and d.limit_id = v_day.limit_id
      and d.day = v_day.day;
    v_used_units := (usage_of(v_day.limit_id, v_day.day)).used_units;
    if v_used_units > v_day.max_units then
      v_results := v_results || row(
        null, 'over_limit', null, format(
          'daily limit %L on %s: %s of %s units are used; nothing new is accepted until usage falls below',
          v_day.limit_id, to_char(v_day.day, 'YYYY-MM-DD'), v_used_units, v_day.max_units
        )
      )::langflix_result;
    end if;
  end loop;
  return v_results;
end;
$$;

comment on function langflix_restore_maxima(limit_day[]) is
  'Gives days back the maxima that they had at first, and tells which are over them.';
