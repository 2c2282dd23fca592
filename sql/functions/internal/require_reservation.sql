create function require_reservation(p_reservation_id bigint)
returns reservation
language plpgsql
stable
set search_path from current
as $$
declare
  v_reservation reservation;
begin
  if p_reservation_id is null then
    perform raise_refusal(
      invalid_argument('p_reservation_id', 'the id of a reservation is needed')
    );
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = p_reservation_id;
  if not found then
    raise exception 'there is no reservation %', p_reservation_id
      using errcode = 'SWNFD',
        detail = jsonb_build_object('reservation_id', p_reservation_id);
  end if;
  return v_reservation;
end;
$$;

comment on function require_reservation(bigint) is
  'The reservation, or SWARG (null), SWNFD (unknown).';
