create function invalid_argument(p_parameter text, p_message text)
returns refusal
language sql
immutable
return row('SWARG', p_message, jsonb_build_object('parameter', p_parameter))::refusal;

comment on function invalid_argument(text, text) is
  'SWARG for a parameter.';
