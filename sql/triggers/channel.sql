create function check_channel_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_limit_id text;
begin
  if tg_op = 'UPDATE' and new.time_zone = old.time_zone then
    return null;
  end if;
  perform require_zone(new.time_zone);
  for v_limit_id in
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = new.channel_id
    order by r.limit_id
  loop
    perform check_shared_zone(v_limit_id);
  end loop;
  return null;
end;
$$;

comment on function check_channel_zone() is
  'Trigger: refuses (SWARG) an unknown zone, or one that a shared limit cannot follow.';

create trigger channel_check_zone
after insert or update of time_zone on channel
for each row
execute function check_channel_zone();

comment on trigger channel_check_zone on channel is
  'A channel is in a zone that exists, and that its shared limits can follow.';
