create function langflix_add_video_id(p_reservation reservation, p_youtube_video_id text)
returns reservation
language plpgsql
volatile
set search_path from current
as $$
begin
  if p_youtube_video_id is null
    or p_youtube_video_id = p_reservation.youtube_video_id
  then
    return p_reservation;
  end if;
  if p_reservation.youtube_video_id is not null then
    perform raise_refusal(row(
      'SWSTA',
      format('reservation %s is completed: it was uploaded already, as %L',
        p_reservation.reservation_id, p_reservation.youtube_video_id),
      jsonb_build_object(
        'reservation_id', p_reservation.reservation_id,
        'status', p_reservation.upload_status,
        'wanted', 'completed'
      )
    )::refusal);
  end if;
  update reservation as r
  set youtube_video_id = p_youtube_video_id
  where r.reservation_id = p_reservation.reservation_id
  returning r.* into p_reservation;
  return p_reservation;
end;
$$;

comment on function langflix_add_video_id(reservation, text) is
  'Notes the id of a locked, completed upload; SWSTA: it has another.';
