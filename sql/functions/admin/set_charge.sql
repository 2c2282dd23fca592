-- set_charge: says what one upload of a type takes from a limit, for new
-- bookings; existing ones keep what they were charged until recalculate_usage.
--
--   p_type     video type of the channel
--   p_limit    the limit
--   p_units    units an upload takes; 0 removes the rule
--   p_channel  the channel
--
-- Returns the rule (of 0 units, if it was removed).
-- SQLSTATEs: SWARG, SWCHN, SWTYP, 55P03. Locks: the channel, then the limit.
create function set_charge(
  p_type text,
  p_limit text,
  p_units integer,
  p_channel text default 'default'
)
returns charge_rule
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_deadline timestamptz := lock_deadline();
  v_refusal refusal := argument_refusal(p_channel, p_type, null, null);
  v_rule charge_rule;
begin
  if p_units is null or p_units < 0 or p_units > 1000000000 then
    perform raise_refusal(
      invalid_argument('p_units', 'an upload takes between 0 and 1,000,000,000 units')
    );
  end if;
  perform raise_refusal(v_refusal, next_step(v_refusal.code, p_channel, p_type, null));
  perform raise_refusal(limit_name_refusal(p_limit), 'set_daily_limit creates a limit.');

  perform lock_channel(p_channel, v_deadline);
  perform lock_limits(array[p_limit], v_deadline);
  if p_units = 0 then
    delete from charge_rule as r
    where r.channel_id = p_channel and r.video_type = p_type and r.limit_id = p_limit;
    v_rule := row(p_channel, p_type, p_limit, 0)::charge_rule;
  elsif 2000000000 < p_units + (
    select coalesce(sum(r.units), 0)
    from charge_rule as r
    where r.channel_id = p_channel and r.video_type = p_type and r.limit_id <> p_limit
  ) then
    perform raise_refusal(invalid_argument(
      'p_units', 'an upload takes up to 2,000,000,000 units of all its limits together'
    ));
  else
    insert into charge_rule (channel_id, video_type, limit_id, units)
    values (p_channel, p_type, p_limit, p_units)
    on conflict on constraint charge_rule_pkey do update set units = excluded.units
    returning * into v_rule;
  end if;
  return v_rule;
end;
$$;

comment on function set_charge(text, text, integer, text) is
  'Sets what one upload of a type takes from a limit and returns the rule. Errors: SWARG SWCHN SWTYP 55P03. Locks: the channel, then the limit.';
