-- Before the row is written: afterwards its own zone would be one in use.
create function require_channel_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
  perform require_zone(new.time_zone);
  return new;
end;
$$;

comment on function require_channel_zone() is
  'Trigger: refuses (SWARG) a channel in an unknown zone.';

create trigger channel_require_zone
before insert or update of time_zone on channel
for each row
execute function require_channel_zone();

comment on trigger channel_require_zone on channel is
  'A channel is in a zone that exists.';

create function check_channel_zone()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
declare
  v_limit_id text;
begin
  if new.time_zone = old.time_zone then
    return null;
  end if;
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
  'Trigger: refuses (SWARG) a zone that a shared limit cannot follow.';

create trigger channel_check_zone
after update of time_zone on channel
for each row
execute function check_channel_zone();

comment on trigger channel_check_zone on channel is
  'A channel is in a zone that its shared limits can follow.';
