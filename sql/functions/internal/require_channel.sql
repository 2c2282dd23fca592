create function require_channel(p_channel text)
returns channel
language plpgsql
stable
set search_path from current
as $$
declare
  v_channel channel;
begin
  if p_channel is null then
    perform raise_refusal(invalid_argument('p_channel', 'a channel is needed'));
  end if;
  select c.* into v_channel from channel as c where c.channel_id = p_channel;
  if not found then
    perform raise_refusal(
      unknown_channel(p_channel),
      'create_channel makes a channel; calls without p_channel mean the channel default.'
    );
  end if;
  return v_channel;
end;
$$;

comment on function require_channel(text) is
  'The channel, or SWARG (null), SWCHN (unknown).';
