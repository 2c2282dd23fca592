-- set_channel: changes a channel's zone or upload lead, for new bookings;
-- existing ones keep what they were charged until recalculate_usage.
--
--   p_channel      the channel
--   p_time_zone    IANA zone of its wall clock; null: unchanged
--   p_upload_lead  how long before the publish time its uploads run; null: unchanged
--
-- Returns the channel.
-- SQLSTATEs: SWCHN, SWARG (also a zone that a shared limit cannot follow), 55P03.
-- Locks: the channel and the limits that it charges.
create function set_channel(
  p_channel text,
  p_time_zone text default null,
  p_upload_lead interval default null
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
  v_channel channel := require_channel(p_channel);
begin
  if p_time_zone is not null then
    perform require_zone(p_time_zone);
  end if;
  if p_upload_lead is not null then
    perform raise_refusal(upload_lead_refusal(p_upload_lead));
  end if;
  perform lock_channel(p_channel, v_deadline);
  if p_time_zone is distinct from v_channel.time_zone and p_time_zone is not null then
    perform lock_limits(
      array(select r.limit_id from charge_rule as r where r.channel_id = p_channel), v_deadline
    );
  end if;
  update channel as c
  set
    time_zone = coalesce(p_time_zone, c.time_zone),
    upload_lead = coalesce(p_upload_lead, c.upload_lead)
  where c.channel_id = p_channel
  returning c.* into v_channel;
  return v_channel;
end;
$$;

comment on function set_channel(text, text, interval) is
  'Changes a channel''s zone or upload lead, for new bookings, and returns it. Errors: SWCHN SWARG 55P03. Locks: the channel and the limits that it charges.';
