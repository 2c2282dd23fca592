-- Who may do what. Nobody but the owner has rights on tables; the functions of
-- the API run with the owner's. PostgreSQL lets everybody execute a new
-- function, so that is taken back first, in the creating transaction.
do $roles$
declare
  v_booking text[] := array[
    'reserve_slot(date, text, time, text, text, text)',
    'reserve_slot_at(timestamptz, text, text, text, text)',
    'try_reserve_slot(date, text, time, text, text, text)',
    'reserve_next_slot(text, date, integer, text, text, boolean, text)',
    'reserve_slots(jsonb, boolean)',
    'cancel_reservation(bigint, integer)',
    'reschedule_reservation(bigint, date, time, integer, text)',
    'lock_day(date, text)',
    'start_upload(bigint, interval)',
    'complete_upload(bigint, uuid, text)',
    'fail_upload(bigint, uuid, text)',
    'retry_upload(bigint, date, time, integer, text)',
    'claim_due_uploads(integer, interval, text)',
    'record_usage(text, integer, date, text)',
    'record_upload(text, text, text, text)',
    'account_upload(text, integer, date, text)',
    'rebook_import_conflict(bigint, date, time, text, text)'
  ];
  v_reading text[] := array[
    'daily_status(date, text)',
    'calendar(date, integer, text)',
    'available_slots(text, date, integer, text, integer)',
    'usage_history(date, date, text, text)',
    'quota_warnings(date, integer, text, numeric)',
    'list_channels()',
    'list_blackouts(text, timestamptz)',
    'list_import_conflicts(text, boolean)',
    'langflix_settings(text)'
  ];
  v_admin text[] := array[
    'create_channel(text, text, interval, text[], text)',
    'set_channel(text, text, interval)',
    'add_video_type(text, text)',
    'set_daily_limit(text, integer, text, text, integer)',
    'override_day(text, date, integer)',
    'set_charge(text, text, integer, text)',
    'set_posting_times(time[], text, integer)',
    'add_blackout(timestamptz, timestamptz, text, text)',
    'remove_blackout(bigint)',
    'apply_quota_profile(text, text, text)',
    'recalculate_usage(date, date, boolean, boolean)',
    'import_langflix(jsonb, text, text, boolean)'
  ];
  v_views text[] := array['daily_usage', 'usage_drift', 'lock_waits'];
  v_langflix_views text[] := array['youtube_schedule', 'youtube_quota_usage'];
  v_granted record;
  v_object text;
begin
  execute format('revoke all on all functions in schema %I from public', current_schema());

  for v_granted in
    select
      w.role_name,
      case w.purpose
        when 'app' then v_booking || v_reading
        when 'reader' then v_reading
        else v_booking || v_reading || v_admin
      end as functions,
      v_langflix_views || case w.purpose when 'app' then '{}'::text[] else v_views end as views
    from workspace_role as w
    where w.purpose <> 'owner'
    order by w.purpose
  loop
    execute format('grant usage on schema %I to %I', current_schema(), v_granted.role_name);
    foreach v_object in array v_granted.functions loop
      execute format('grant execute on function %s to %I', v_object, v_granted.role_name);
    end loop;
    foreach v_object in array v_granted.views loop
      execute format('grant select on %I to %I', v_object, v_granted.role_name);
    end loop;
  end loop;
end;
$roles$;
