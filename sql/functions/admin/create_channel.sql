-- create_channel: a new channel with the video types, posting times and charge
-- rules of another, and limits of its own like that channel's.
--
--   p_channel       name of the channel, at most 400 bytes
--   p_time_zone     IANA zone of its wall clock
--   p_upload_lead   how long before the publish time its uploads run
--   p_share_limits  limits of p_like that it shares instead of getting its own
--   p_like          the channel to copy from
--
-- A limit "final" of p_like becomes "p_channel/final"; of a limit
-- "other/final" the part after the first channel's name is kept.
-- Returns the channel.
-- SQLSTATEs: SWARG (a name, zone or lead that cannot be; it exists; a limit of
-- its name exists), SWCHN (p_like).
-- Locks: p_like, the new rows, and shared limits, until the transaction ends.
create function create_channel(
  p_channel text,
  p_time_zone text default 'UTC',
  p_upload_lead interval default '0',
  p_share_limits text[] default '{}',
  p_like text default 'default'
)
returns channel
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_like channel := require_channel(p_like);
  v_channel channel;
  v_unknown text;
  v_too_long text;
  v_own_limits text[];
  v_limit_count integer;
begin
  perform raise_refusal(name_refusal('p_channel', p_channel, 400));
  perform raise_refusal(upload_lead_refusal(p_upload_lead));
  if p_time_zone is null then
    perform raise_refusal(invalid_argument('p_time_zone', 'a time zone is needed'));
  end if;
  perform require_zone(p_time_zone);

  select shared.limit_id into v_unknown
  from unnest(coalesce(p_share_limits, '{}')) as shared (limit_id)
  where not exists (
    select from charge_rule as r
    where r.channel_id = p_like and r.limit_id = shared.limit_id
  )
  limit 1;
  if found then
    perform raise_refusal(invalid_argument(
      'p_share_limits', format('channel %L charges no limit %L to share', p_like, v_unknown)
    ));
  end if;

  select own_limit_name(p_channel, p_like, r.limit_id) into v_too_long
  from charge_rule as r
  where r.channel_id = p_like
    and r.limit_id <> all (coalesce(p_share_limits, '{}'))
    and octet_length(own_limit_name(p_channel, p_like, r.limit_id)) > 600
  limit 1;
  if found then
    perform raise_refusal(invalid_argument(
      'p_channel',
      format('the name of its limit %L would have more than 600 bytes', left(v_too_long, 200))
    ));
  end if;

  -- Its rules stay as they are until they are copied.
  perform lock_channel(p_like, v_deadline);
  perform bound_lock_wait(v_deadline);
  insert into channel (channel_id, time_zone, upload_lead)
  values (p_channel, p_time_zone, p_upload_lead)
  on conflict do nothing
  returning * into v_channel;
  if not found then
    perform raise_refusal(
      invalid_argument('p_channel', format('channel %L exists already', p_channel))
    );
  end if;

  insert into posting_time (channel_id, local_time, iso_weekday)
  select p_channel, t.local_time, t.iso_weekday
  from posting_time as t
  where t.channel_id = p_like;

  insert into video_type (channel_id, video_type)
  select p_channel, t.video_type
  from video_type as t
  where t.channel_id = p_like;

  v_own_limits := array(
    select distinct r.limit_id
    from charge_rule as r
    where r.channel_id = p_like
      and r.limit_id <> all (coalesce(p_share_limits, '{}'))
  );
  insert into daily_limit (limit_id, max_units, time_zone, counted_at, warn_percent)
  select
    own_limit_name(p_channel, p_like, l.limit_id),
    l.max_units, l.time_zone, l.counted_at, l.warn_percent
  from daily_limit as l
  where l.limit_id = any (v_own_limits)
  on conflict do nothing;
  get diagnostics v_limit_count = row_count;
  if v_limit_count <> cardinality(v_own_limits) then
    perform raise_refusal(invalid_argument(
      'p_channel', format('a limit named %L exists already', p_channel || '/...')
    ));
  end if;

  perform lock_limits(coalesce(p_share_limits, '{}'), v_deadline);
  insert into charge_rule (channel_id, video_type, limit_id, units)
  select
    p_channel,
    r.video_type,
    case
      when r.limit_id = any (v_own_limits) then own_limit_name(p_channel, p_like, r.limit_id)
      else r.limit_id
    end,
    r.units
  from charge_rule as r
  where r.channel_id = p_like
  order by r.limit_id, r.video_type;

  return v_channel;
end;
$$;

comment on function create_channel(text, text, interval, text[], text) is
  'Creates a channel like another, with limits of its own named channel/limit, and returns it. Errors: SWARG SWCHN 55P03. Locks: the channel that it is like, and shared limits.';
