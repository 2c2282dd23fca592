-- LangFlix has no status for what was cancelled: it calls that failed, with a
-- message of its own. Uploads that came to nothing are failed as well.
create function langflix_status(p_status text, p_error_message text)
returns text
language sql
immutable
return case
  when p_status = 'failed' and p_error_message = 'Cancelled by user' then 'cancelled'
  when p_status in ('scheduled', 'uploading', 'completed', 'failed') then p_status
  when p_status = 'uploaded' then 'completed'
end;

comment on function langflix_status(text, text) is
  'The upload_status that a status of LangFlix''s means; null: it is unknown.';
