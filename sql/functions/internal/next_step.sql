-- The HINT of a refused booking: the next free slot, looked for within two
-- weeks, and not locked for anybody.
create function next_step(p_code text, p_channel text, p_type text, p_from timestamptz)
returns text
language plpgsql
stable
set search_path from current
as $$
declare
  v_channel channel;
  v_next timestamptz;
begin
  case p_code
    when 'SWTKN', 'SWLIM', 'SWBLK', 'SWPST' then
      select c.* into v_channel from channel as c where c.channel_id = p_channel;
      v_next := (
        select free.slot
        from free_slots(v_channel, p_type, greatest(p_from, clock_now()), 14, 1) as free (slot)
      );
      return case
        when v_next is null then 'No slot is free in the next 14 days.'
        else format('The next free slot is %s.', local_text(v_next, v_channel.time_zone))
      end;
    when 'SWGAP' then return 'Book one of the nearest times.';
    when 'SWDUP' then return 'Cancel that reservation first, or book another video.';
    when 'SWKEY' then return 'Use a new key for a new call.';
    when 'SWCHN' then
      return 'create_channel makes a channel; calls without p_channel mean the channel default.';
    when 'SWTYP' then return 'add_video_type adds a type to a channel.';
    else return null;
  end case;
end;
$$;

comment on function next_step(text, text, text, timestamptz) is
  'What to do after a refusal, for its HINT.';
