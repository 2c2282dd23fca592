-- While a call waited for its days, a channel may have got another zone or
-- lead, a rule other units, and an upload that is to run at once may have moved
-- to the next day. Other days would have to be locked against the order of
-- locks, so the call gives way.
create function require_same_rules(
  p_channel channel,
  p_type text,
  p_publish_time timestamptz,
  p_charges charge[]
)
returns void
language plpgsql
volatile
set search_path from current
as $$
begin
  if not exists (
    select from channel as c
    where c.channel_id = p_channel.channel_id
      and c.time_zone = p_channel.time_zone
      and c.upload_lead = p_channel.upload_lead
  ) or p_charges <> array(
    select c
    from charges_for(
      p_channel.channel_id, p_type, p_publish_time,
      upload_time_for(p_publish_time, p_channel.upload_lead, clock_now())
    ) as c
  ) then
    raise exception 'the rules of channel % changed meanwhile', quote_literal(p_channel.channel_id)
      using errcode = 'serialization_failure',
        hint = 'Try the transaction again.';
  end if;
end;
$$;

comment on function require_same_rules(channel, text, timestamptz, charge[]) is
  'Raises 40001, if a booking would now be charged otherwise than when it began.';
