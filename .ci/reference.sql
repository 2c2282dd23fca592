-- What the generated reference of the schema shows, one row an object.
-- Not null constraints are left out: the columns say it, and only some versions have them as rows.
with relation as (
  select c.oid, c.relname, c.relkind
  from pg_class as c
  where c.relnamespace = 'slotwarden'::regnamespace and c.relkind in ('r', 'v')
)
select
  r.relname as relation, r.relkind = 'v' as is_view, '1 relation' as kind, r.relname as name,
  '' as definition, obj_description(r.oid, 'pg_class') as comment, 0 as place
from relation as r
union all
select
  r.relname, r.relkind = 'v', '2 column', a.attname,
  concat_ws(
    ' ',
    format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then 'not null' end,
    'default ' || pg_get_expr(d.adbin, d.adrelid)
  ),
  col_description(r.oid, a.attnum), a.attnum
from relation as r
join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
union all
select
  r.relname, false, '3 constraint', o.conname,
  pg_get_constraintdef(o.oid, true), obj_description(o.oid, 'pg_constraint'), 0
from relation as r
join pg_constraint as o on o.conrelid = r.oid and o.contype in ('p', 'u', 'f', 'c', 'x')
union all
select
  r.relname, false, '4 index', i.indexrelid::regclass::text,
  regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX \S+ ON \S+ USING ', '\1'),
  obj_description(i.indexrelid, 'pg_class'), 0
from relation as r
join pg_index as i on i.indrelid = r.oid
where not exists (select from pg_constraint as o where o.conindid = i.indexrelid)
union all
select
  r.relname, false, '5 trigger', t.tgname,
  substring(pg_get_triggerdef(t.oid, true) from '((?:BEFORE|AFTER) .*?) ON ')
    || ': ' || t.tgfoid::regproc,
  obj_description(t.oid, 'pg_trigger'), 0
from relation as r
join pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal
union all
select
  null, has_function_privilege('slotwarden_admin', p.oid, 'execute'), '6 function', p.proname,
  pg_get_function_identity_arguments(p.oid) || ') returns ' || pg_get_function_result(p.oid),
  obj_description(p.oid, 'pg_proc'), 0
from pg_proc as p
where p.pronamespace = 'slotwarden'::regnamespace;
