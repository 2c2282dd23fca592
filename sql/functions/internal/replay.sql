-- A call that was carried out before under the same key is answered with its
-- reservation. All fields null: the key is new.
create function replay(p_request_key text, p_function text, p_arguments jsonb)
returns booking
language plpgsql
volatile
set search_path from current
as $$
declare
  v_request request;
  v_booking booking;
  v_reservation reservation;
begin
  if p_request_key is null then
    return v_booking;
  end if;
  select r.* into v_request from request as r where r.request_key = p_request_key;
  if not found then
    return v_booking;
  end if;
  if (v_request.function, v_request.arguments) is distinct from (p_function, p_arguments) then
    v_booking.refusal := row(
      'SWKEY',
      format('request key %L was used before, for another call of %s',
        p_request_key, v_request.function),
      jsonb_build_object('request_key', p_request_key, 'function', v_request.function)
    )::refusal;
    return v_booking;
  end if;
  select r.* into v_reservation
  from reservation as r
  where r.reservation_id = v_request.reservation_id;
  if not found then
    v_booking.refusal := row(
      'SWNFD',
      format('the reservation of request key %L was deleted', p_request_key),
      jsonb_build_object('request_key', p_request_key)
    )::refusal;
  end if;
  v_booking.reservation := v_reservation;
  return v_booking;
end;
$$;

comment on function replay(text, text, jsonb) is
  'What came of an earlier call under the key: its reservation, or SWKEY, SWNFD; all null: none.';
