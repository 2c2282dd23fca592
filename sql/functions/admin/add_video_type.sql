-- add_video_type: lets a channel publish another kind of video; set_charge
-- says what it takes. Asking again changes nothing.
--
--   p_type     name of the type, at most 100 bytes
--   p_channel  the channel
--
-- Returns the type. SQLSTATEs: SWCHN, SWARG. Locks: none that bookings wait for.
create function add_video_type(p_type text, p_channel text default 'default')
returns video_type
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_type video_type;
begin
  perform raise_refusal(name_refusal('p_type', p_type, 100));
  insert into video_type (channel_id, video_type)
  values (v_channel.channel_id, p_type)
  on conflict do nothing;
  select t.* into v_type
  from video_type as t
  where t.channel_id = p_channel and t.video_type = p_type;
  return v_type;
end;
$$;

comment on function add_video_type(text, text) is
  'Lets a channel publish another video type and returns it. Errors: SWCHN SWARG 55P03.';
