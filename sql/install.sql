-- Installs slotwarden with psql alone:
--
--   psql -v schema=slotwarden -f sql/install.sql
--
-- Variables, all optional: schema; owner, app, reader, admin (names of roles,
-- which are created where they are missing). No superuser is needed: CREATE on
-- the database, and CREATEROLE or roles that exist already. "slotwarden db
-- upgrade" gives the same database, and upgrades this one later.
\set ON_ERROR_STOP on
\if :{?schema} \else \set schema slotwarden \endif
\if :{?owner} \else \set owner slotwarden_owner \endif
\if :{?app} \else \set app slotwarden_app \endif
\if :{?reader} \else \set reader slotwarden_reader \endif
\if :{?admin} \else \set admin slotwarden_admin \endif

begin;
set local slotwarden.schema = :'schema';
set local slotwarden.owner_role = :'owner';
set local slotwarden.app_role = :'app';
set local slotwarden.reader_role = :'reader';
set local slotwarden.admin_role = :'admin';
\ir ../alembic/prepare.sql

do $installed$
begin
  if exists (select from pg_tables as t
    where t.schemaname = current_schema() and t.tablename = 'channel')
  then
    raise exception 'slotwarden is installed in the schema % already', quote_literal(current_schema())
      using errcode = 'duplicate_schema',
        hint = 'Upgrade it with: slotwarden db upgrade';
  end if;
end;
$installed$;

set local client_min_messages = warning;
create table if not exists alembic_version (
  version_num varchar(32) not null,
  constraint alembic_version_pkc primary key (version_num)
);

\ir functions/internal/clock_now.sql
\ir functions/internal/caller_role.sql

\ir tables/channel.sql
\ir tables/posting_time.sql
\ir tables/video_type.sql
\ir tables/daily_limit.sql
\ir tables/charge_rule.sql
\ir tables/reservation.sql
\ir tables/limit_day.sql
\ir tables/usage_ledger.sql
\ir tables/request.sql
\ir tables/blackout.sql
\ir tables/import_conflict.sql
\ir tables/external_usage.sql
\ir tables/workspace_role.sql
\ir types.sql

\ir functions/internal/invalid_argument.sql
\ir functions/internal/unknown_channel.sql
\ir functions/internal/raise_refusal.sql
\ir functions/internal/require_channel.sql
\ir functions/internal/require_reservation.sql
\ir functions/internal/name_refusal.sql
\ir functions/internal/max_units_refusal.sql
\ir functions/internal/upload_lead_refusal.sql
\ir functions/internal/publish_time_refusal.sql
\ir functions/internal/day_refusal.sql
\ir functions/internal/local_time_refusal.sql
\ir functions/internal/limit_name_refusal.sql
\ir functions/internal/local_instant.sql
\ir functions/internal/around_clock_gap.sql
\ir functions/internal/clock_gap_refusal.sql
\ir functions/internal/require_zone.sql
\ir functions/internal/day_start.sql
\ir functions/internal/upload_time_for.sql
\ir functions/internal/utc_text.sql
\ir functions/internal/local_text.sql
\ir functions/internal/charges_for.sql
\ir functions/internal/charges_held.sql
\ir functions/internal/units_of.sql
\ir functions/internal/net_charges.sql
\ir functions/internal/reservation_charges.sql
\ir functions/internal/sorted_charges.sql
\ir functions/internal/usage_of.sql
\ir functions/internal/past_refusal.sql
\ir functions/internal/blackout_refusal.sql
\ir functions/internal/limit_refusal.sql
\ir functions/internal/video_refusal.sql
\ir functions/internal/slot_refusal.sql
\ir functions/internal/argument_refusal.sql
\ir functions/internal/status_refusal.sql
\ir functions/internal/version_refusal.sql
\ir functions/internal/lock_deadline.sql
\ir functions/internal/bound_lock_wait.sql
\ir functions/internal/end_lock_wait.sql
\ir functions/internal/lock_channel.sql
\ir functions/internal/share_limits.sql
\ir functions/internal/lock_days.sql
\ir functions/internal/lock_limits.sql
\ir functions/internal/limit_days_ahead.sql
\ir functions/internal/require_same_rules.sql
\ir functions/internal/raise_ledger_conflict.sql
\ir functions/internal/refuse_over_maximum.sql
\ir functions/internal/post_charges.sql
\ir functions/internal/post_balance.sql
\ir functions/internal/check_reservation_slot.sql
\ir functions/internal/lock_reservation.sql
\ir functions/internal/is_settled.sql
\ir functions/internal/replay.sql
\ir functions/internal/book.sql
\ir functions/internal/book_local.sql
\ir functions/internal/times_of_day.sql
\ir functions/internal/free_slots.sql
\ir functions/internal/next_step.sql
\ir functions/internal/own_limit_name.sql

\ir triggers/refuse_write.sql
\ir triggers/reservation.sql
\ir triggers/usage_ledger.sql
\ir triggers/limit_day.sql
\ir triggers/daily_limit.sql
\ir triggers/channel.sql
\ir triggers/charge_rule.sql
\ir triggers/external_usage.sql

\ir views/daily_usage.sql
\ir views/usage_drift.sql
\ir views/lock_waits.sql

\ir functions/internal/percent_used.sql
\ir functions/internal/channel_usage.sql

\ir functions/booking/reserve_slot.sql
\ir functions/booking/reserve_slot_at.sql
\ir functions/booking/try_reserve_slot.sql
\ir functions/booking/cancel_reservation.sql

\ir functions/internal/horizon_refusal.sql
\ir functions/internal/book_next.sql
\ir functions/internal/move_step.sql
\ir functions/internal/move_reservation.sql
\ir functions/internal/lease_refusal.sql
\ir functions/internal/start_charges.sql
\ir functions/internal/begin_attempt.sql
\ir functions/internal/is_due.sql
\ir functions/internal/due_uploads.sql
\ir functions/internal/token_refusal.sql
\ir functions/internal/dead_token_refusal.sql
\ir functions/internal/parsed_instant.sql
\ir functions/internal/parsed_local_time.sql
\ir functions/internal/booking_wish_of.sql
\ir functions/internal/book_wish.sql
\ir functions/internal/limit_today.sql
\ir functions/booking/reserve_next_slot.sql
\ir functions/booking/reserve_slots.sql
\ir functions/booking/reschedule_reservation.sql
\ir functions/booking/lock_day.sql

\ir functions/uploads/start_upload.sql
\ir functions/uploads/claim_due_uploads.sql
\ir functions/uploads/complete_upload.sql
\ir functions/uploads/fail_upload.sql
\ir functions/uploads/retry_upload.sql
\ir functions/uploads/record_usage.sql

\ir functions/reading/daily_status.sql
\ir functions/reading/calendar.sql
\ir functions/reading/available_slots.sql
\ir functions/reading/usage_history.sql
\ir functions/reading/quota_warnings.sql
\ir functions/reading/list_channels.sql
\ir functions/reading/list_blackouts.sql

\ir functions/internal/as_recharged.sql
\ir functions/internal/recharge_reservation.sql
\ir functions/internal/repair_usage.sql
\ir functions/admin/create_channel.sql
\ir functions/admin/set_channel.sql
\ir functions/admin/add_video_type.sql
\ir functions/admin/set_daily_limit.sql
\ir functions/admin/override_day.sql
\ir functions/admin/set_charge.sql
\ir functions/admin/set_posting_times.sql
\ir functions/admin/add_blackout.sql
\ir functions/admin/remove_blackout.sql
\ir functions/admin/apply_quota_profile.sql
\ir functions/admin/recalculate_usage.sql

\ir tables/imported_reservation.sql
\ir langflix_types.sql
\ir views/langflix_limit.sql
\ir views/youtube_schedule.sql
\ir views/youtube_quota_usage.sql
\ir functions/internal/langflix/langflix_local_time.sql
\ir functions/internal/langflix/langflix_instant.sql
\ir functions/internal/langflix/langflix_whole_minute.sql
\ir functions/internal/langflix/langflix_time_refusal.sql
\ir functions/internal/langflix/langflix_status.sql
\ir functions/internal/langflix/langflix_reservation.sql
\ir functions/internal/langflix/langflix_row_of.sql
\ir functions/internal/langflix/langflix_known.sql
\ir functions/internal/langflix/langflix_clash.sql
\ir functions/internal/langflix/langflix_make_room.sql
\ir functions/internal/langflix/langflix_restore_maxima.sql
\ir functions/internal/langflix/langflix_import_row.sql
\ir functions/internal/langflix/langflix_import.sql
\ir functions/internal/langflix/langflix_reservation_of_video.sql
\ir functions/internal/langflix/langflix_add_video_id.sql
\ir functions/internal/langflix/langflix_unreported_upload.sql
\ir functions/langflix/import_langflix.sql
\ir functions/langflix/list_import_conflicts.sql
\ir functions/langflix/rebook_import_conflict.sql
\ir functions/langflix/record_upload.sql
\ir functions/langflix/account_upload.sql
\ir functions/langflix/langflix_settings.sql

\ir defaults.sql
\ir roles.sql

insert into alembic_version (version_num)
values ('0007');
commit;
