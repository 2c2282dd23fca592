-- Reads one item of a batch. JSON has no types for dates and times, and
-- PostgreSQL drops an offset from a time without a word, so the texts are held
-- to their forms first.
create function booking_wish_of(p_item integer, p_request jsonb)
returns booking_wish
language plpgsql
volatile
set search_path from current
as $$
declare
  v_wish booking_wish;
  v_unknown text;
  v_channel channel;
begin
  v_wish.item := p_item;
  if jsonb_typeof(p_request) <> 'object' then
    v_wish.refusal := invalid_argument('p_requests', 'an item of a batch is a JSON object');
    return v_wish;
  end if;
  select e.key into v_unknown
  from jsonb_each(p_request) as e
  where e.key not in
      ('date', 'time', 'publish_time', 'type', 'video', 'channel', 'request_key')
    or jsonb_typeof(e.value) not in ('string', 'null')
  order by e.key
  limit 1;
  if found then
    v_wish.refusal := invalid_argument(
      'p_requests', format('%L is no field of an item, or its value is not a text', left(v_unknown, 100))
    );
    return v_wish;
  end if;

  v_wish.channel_id := coalesce(p_request ->> 'channel', 'default');
  v_wish.video_type := p_request ->> 'type';
  v_wish.video_path := p_request ->> 'video';
  v_wish.request_key := p_request ->> 'request_key';
  v_wish.refusal := argument_refusal(
    v_wish.channel_id, v_wish.video_type, v_wish.video_path, v_wish.request_key
  );
  if (v_wish.refusal).code is not null then
    return v_wish;
  end if;
  select c.* into v_channel from channel as c where c.channel_id = v_wish.channel_id;

  if p_request ->> 'publish_time' is not null
    and p_request ->> 'date' is null and p_request ->> 'time' is null
  then
    v_wish.publish_time := parsed_instant(p_request ->> 'publish_time');
    v_wish.refusal := publish_time_refusal(v_wish.publish_time);
  elsif p_request ->> 'publish_time' is null then
    v_wish.local_time := parsed_local_time(p_request ->> 'date', p_request ->> 'time');
    if v_wish.local_time is null then
      v_wish.refusal := invalid_argument(
        'p_requests', 'an item has a date as YYYY-MM-DD and a time as HH:MM, or a publish_time'
      );
    elsif (day_refusal('p_requests', v_wish.local_time::date)).code is not null then
      v_wish.refusal := day_refusal('p_requests', v_wish.local_time::date);
    else
      v_wish.publish_time := local_instant(v_wish.local_time, v_channel.time_zone);
      if v_wish.publish_time is null then
        v_wish.refusal := clock_gap_refusal(v_wish.local_time, v_channel.time_zone);
      end if;
    end if;
  else
    v_wish.refusal := invalid_argument(
      'p_requests', 'an item has a date and a time, or a publish_time, not both'
    );
  end if;
  -- What the item means, so that a repeated one may be written otherwise.
  v_wish.arguments := jsonb_build_object(
    'channel', v_wish.channel_id,
    'type', v_wish.video_type,
    'video', v_wish.video_path,
    'local_time', to_char(v_wish.local_time, 'YYYY-MM-DD HH24:MI'),
    'publish_time', case when v_wish.local_time is null then utc_text(v_wish.publish_time) end
  );
  return v_wish;
end;
$$;

comment on function booking_wish_of(integer, jsonb) is
  'One item of a batch, with its publish time or with what is wrong with it.';
