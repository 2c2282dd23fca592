-- apply_quota_profile: charges a channel's uploads as YouTube counts them.
--
--   units-10000  1,600 units an upload of 10,000 a day
--                (https://developers.google.com/youtube/v3/determine_quota_cost)
--   uploads-100  1 call of videos.insert of a bucket of 100 a day
--                (https://developers.google.com/youtube/v3/getting-started#quota)
--
-- Both count on the Pacific day of the upload. Rules that look like those of a
-- profile (1 or 1,600 units of a limit that counts uploads on the Pacific day)
-- are taken away from the channel; existing bookings keep what they were
-- charged until recalculate_usage(..., p_recharge => true).
--
--   p_profile  units-10000 or uploads-100
--   p_channel  the channel
--   p_limit    the limit to charge, for channels that share a Google Cloud
--              project; null: api_units or uploads of the channel's own. It is
--              created if it does not exist.
--
-- Returns the channel's rules for that limit.
-- SQLSTATEs: SWARG SWCHN 55P03. Locks: the channel, then the limits.
create function apply_quota_profile(
  p_profile text,
  p_channel text default 'default',
  p_limit text default null
)
returns setof charge_rule
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_channel channel := require_channel(p_channel);
  v_prefix text := case p_channel when 'default' then '' else p_channel || '/' end;
  v_limit_id text;
  v_max_units integer;
  v_units integer;
begin
  case p_profile
    when 'units-10000' then
      v_limit_id := coalesce(p_limit, v_prefix || 'api_units');
      v_max_units := 10000;
      v_units := 1600;
    when 'uploads-100' then
      v_limit_id := coalesce(p_limit, v_prefix || 'uploads');
      v_max_units := 100;
      v_units := 1;
    else
      perform raise_refusal(
        invalid_argument('p_profile', 'the profiles are units-10000 and uploads-100')
      );
  end case;
  perform raise_refusal(name_refusal('p_limit', v_limit_id, 600));

  perform lock_channel(p_channel, v_deadline);
  perform bound_lock_wait(v_deadline);
  insert into daily_limit (limit_id, max_units, time_zone, counted_at)
  values (v_limit_id, v_max_units, 'America/Los_Angeles', 'upload')
  on conflict do nothing;
  perform lock_limits(
    v_limit_id || array(
      select r.limit_id from charge_rule as r where r.channel_id = v_channel.channel_id
    ),
    v_deadline
  );
  if exists (
    select from daily_limit as l where l.limit_id = v_limit_id and l.counted_at <> 'upload'
  ) then
    perform raise_refusal(
      invalid_argument('p_limit', format('limit %L does not count uploads', v_limit_id))
    );
  end if;
  delete from charge_rule as r
  using daily_limit as l
  where r.channel_id = v_channel.channel_id
    and l.limit_id = r.limit_id
    and l.counted_at = 'upload'
    and l.time_zone = 'America/Los_Angeles'
    and r.units in (1, 1600)
    and r.limit_id <> v_limit_id;
  return query
  insert into charge_rule (channel_id, video_type, limit_id, units)
  select t.channel_id, t.video_type, v_limit_id, v_units
  from video_type as t
  where t.channel_id = v_channel.channel_id
  order by t.video_type
  on conflict on constraint charge_rule_pkey do update set units = excluded.units
  returning *;
end;
$$;

comment on function apply_quota_profile(text, text, text) is
  'Charges a channel''s uploads as YouTube counts them (units-10000, uploads-100) and returns the rules. Errors: SWARG SWCHN 55P03. Locks: the channel, then the limits.';
