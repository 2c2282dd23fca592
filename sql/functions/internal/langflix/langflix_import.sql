-- The work of import_langflix. All days are locked first, in their order; then
-- the rows are taken one after the other, so that of several in one slot the
-- first keeps it.
create function langflix_import(
  p_schedule jsonb,
  p_source text,
  p_channel channel,
  p_deadline timestamptz
)
returns langflix_result[]
language plpgsql
volatile
set search_path from current
as $$
declare
  v_rows langflix_row[];
  v_row langflix_row;
  v_known record;
  v_charges charge[];
  v_days limit_day[] := '{}';
  v_results langflix_result[] := '{}';
begin
  v_rows := array(
    select read.row
    from (
      select langflix_row_of(e.row, p_channel) as row, e.place
      from jsonb_array_elements(p_schedule) with ordinality as e (row, place)
    ) as read
    order by (read.row).created_at nulls last, (read.row).source_id, read.place
  );
  v_charges := sorted_charges(array(
    select distinct row(c.limit_id, null, c.day, 0)::charge
    from unnest(v_rows) as r
    cross join lateral unnest(reservation_charges(null, r.reservation)) as c
    where r.reason is null
      and not (langflix_known(r, p_source)).is_known
  ));
  -- A day that gets its maximum back looks at its limit.
  perform share_limits(
    array(select distinct c.limit_id from unnest(v_charges) as c order by c.limit_id), p_deadline
  );
  perform lock_days(v_charges, p_deadline);

  foreach v_row in array v_rows loop
    v_known := langflix_known(v_row, p_source);
    if v_known.is_known then
      v_results := v_results || row(
        v_row.row ->> 'id', 'known', v_known.reservation_id, null
      )::langflix_result;
      continue;
    end if;
    if v_row.reason is null and langflix_clash(v_row.reservation) is null then
      v_days := v_days || langflix_make_room(reservation_charges(null, v_row.reservation));
    end if;
    perform bound_lock_wait(p_deadline);
    v_results := v_results || langflix_import_row(v_row, p_source);
  end loop;
  return v_results || langflix_restore_maxima(v_days);
end;
$$;

comment on function langflix_import(jsonb, text, channel, timestamptz) is
  'Imports rows of LangFlix''s and says what came of each; 55P03 past the deadline, 40001.';
