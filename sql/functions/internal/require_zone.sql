-- PostgreSQL accepts more as a zone than there are zones: 'FOO+3' is a POSIX
-- rule without daylight saving time. Only names of the zone database will do.
-- To list those takes tens of milliseconds, so a zone that is in use already is
-- taken as one.
create function require_zone(p_zone text)
returns void
language plpgsql
stable
set search_path from current
as $$
begin
  if exists (select from channel as c where c.time_zone = p_zone)
    or exists (select from daily_limit as l where l.time_zone = p_zone)
  then
    return;
  end if;
  if not exists (select from pg_timezone_names as z where z.name = p_zone) then
    raise exception 'unknown time zone %', quote_literal(left(p_zone, 200))
      using errcode = 'SWARG',
        detail = jsonb_build_object('parameter', 'p_time_zone', 'value', left(p_zone, 200)),
        hint = coalesce(
          (
            select format('Did you mean %L?', z.name)
            from pg_timezone_names as z
            where lower(z.name) = lower(p_zone)
            order by z.name
            limit 1
          ),
          'select name from pg_timezone_names lists the zones, such as Asia/Seoul.'
        );
  end if;
end;
$$;

comment on function require_zone(text) is
  'Refuses (SWARG) a time zone that is not in pg_timezone_names.';
