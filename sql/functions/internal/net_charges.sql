-- A move gives back the old and takes the new as one change of each day, so
-- that moving within a full day passes.
create function net_charges(p_take charge[], p_give_back charge[])
returns charge[]
language sql
immutable
begin atomic
  select coalesce(
    array_agg(
      row(net.limit_id, net.counted_at, net.day, net.units)::charge
      order by net.day, net.limit_id, net.units
    ),
    '{}'
  )
  from (
    select
      moved.limit_id,
      moved.counted_at,
      moved.day,
      sum(moved.units)::integer as units
    from (
      select t.limit_id, t.counted_at, t.day, t.units
      from unnest(p_take) as t
      union all
      select g.limit_id, g.counted_at, g.day, -g.units
      from unnest(p_give_back) as g
    ) as moved
    group by moved.limit_id, moved.counted_at, moved.day
    having sum(moved.units) <> 0
  ) as net;
end;

comment on function net_charges(charge[], charge[]) is
  'What is left to take or give back of two lists, ordered by day and limit.';
