create function unknown_channel(p_channel text)
returns refusal
language sql
stable
return row(
  'SWCHN',
  format('unknown channel %L', left(p_channel, 200)),
  jsonb_build_object('channel', left(p_channel, 200))
)::refusal;

comment on function unknown_channel(text) is 'SWCHN for a channel.';
