"""Deliberate bugs, each a small patch of a function's real definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class MutantDoesNotApply(Exception):
    """The text to replace is not in the function: the mutant has to be written anew."""


@dataclass(frozen=True)
class Patch:
    """Replaces a text in the definition of a function; every occurrence of it."""

    function: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A bug that the checker has to catch."""

    name: str
    patches: tuple[Patch, ...] = ()
    sql: str = ""
    shapes: tuple[str, ...] = ("4 days", "shared keys", "28 days", "1 day")

    def apply(self, connection: Any) -> None:
        """Bring the bug into the database.

        Raises
        ------
        MutantDoesNotApply
            A text to replace is not found.
        """
        cursor = connection.cursor()
        for patch in self.patches:
            cursor.execute(
                """
                select pg_get_functiondef(p.oid)
                from pg_proc as p
                where p.pronamespace = 'slotwarden'::regnamespace and p.proname = %s
                """,
                [patch.function],
            )
            found = cursor.fetchall()
            if len(found) != 1 or patch.old not in found[0][0]:
                raise MutantDoesNotApply(f"{self.name}: {patch.old!r} in {patch.function}")
            cursor.execute(found[0][0].replace(patch.old, patch.new))
        if self.sql:
            cursor.execute(self.sql)


MUTANTS = (
    Mutant(
        "no lock on the day",
        (Patch("lock_days", "for update skip locked;", ";"),),
    ),
    Mutant(
        "usage counted before the lock",
        (
            Patch("book", "if lock_days(v_charges, p_deadline) then", "if false then"),
            Patch(
                "post_charges",
                "v_written integer;",
                "v_written integer;\n  v_counted integer[] := array(select u.used_units"
                " from unnest(p_charges) with ordinality as c (limit_id, counted_at, day, units, n)"
                " cross join lateral usage_of(c.limit_id, c.day) as u order by c.n);",
            ),
            Patch(
                "post_charges",
                "from unnest(v_now) as c",
                "from unnest(v_now) with ordinality as c (limit_id, counted_at, day, units, n)",
            ),
            Patch("post_charges", "coalesce(latest.used_units, 0)", "v_counted[c.n]"),
        ),
    ),
    Mutant(
        "locks taken in no order",
        (
            Patch(
                "lock_days",
                "foreach v_charge in array p_charges loop\n    if v_charge = any",
                "for v_charge in select c.* from unnest(p_charges) as c order by random() loop\n"
                "    if v_charge = any",
            ),
        ),
    ),
    Mutant(
        "cancel without a lock",
        (
            Patch(
                "cancel_reservation",
                "v_reservation := lock_reservation(v_reservation, null, v_deadline);",
                "",
            ),
        ),
    ),
    Mutant(
        "cancel gives back twice",
        (
            Patch(
                "reservation_charges",
                "then net_charges('{}', v_held)",
                "then net_charges('{}', v_held || v_held)",
            ),
        ),
    ),
    Mutant(
        "request keys ignored",
        (
            Patch("replay", "if p_request_key is null then", "if true then"),
            Patch("book", "if p_request_key is not null then", "if false then"),
        ),
    ),
    Mutant(
        "key looked up before the locks only",
        (
            Patch(
                "book",
                "return case when is_settled(v_replayed) then v_replayed else v_booking end;",
                "return v_booking;",
            ),
        ),
        shapes=("shared keys",),
    ),
    Mutant(
        "a failed upload gives spent units back",
        (
            Patch(
                "reservation_charges",
                "array(select h from unnest(v_held) as h where h.counted_at = 'publish')",
                "v_held",
            ),
        ),
    ),
    Mutant(
        "now() in place of the clock",
        (Patch("clock_now", "clock_timestamp()", "now()"),),
    ),
    Mutant(
        "days in UTC, not in the limit's zone",
        (Patch("charges_for", "COALESCE(l.time_zone, c.time_zone)", "'UTC'::text"),),
    ),
    Mutant(
        "unique index without the completed",
        sql="""
        drop index slotwarden.reservation_slot_key;
        create unique index reservation_slot_key
          on slotwarden.reservation (channel_id, scheduled_publish_time)
          where upload_status in ('scheduled', 'uploading')
        """,
    ),
    Mutant(
        "no entry for what a move gives back",
        (
            Patch(
                "charge_reservation",
                "v_charges := reservation_charges(old, new);",
                "v_charges := reservation_charges(old, new);\n"
                "    if v_reason = 'reschedule' then v_charges := array("
                "select c from unnest(v_charges) as c where c.units > 0); end if;",
            ),
        ),
    ),
    Mutant(
        "a new day reads its maximum without a lock",
        (
            Patch("follow_daily_limit", "for share", ""),
            Patch("share_limits", "\nbegin\n", "\nbegin\n  return false;\n"),
        ),
        shapes=("28 days", "4 days"),
    ),
    Mutant(
        "a move does not lock the day that it leaves",
        (Patch("lock_reservation", "lock_days(v_locked,", "lock_days(sorted_charges(p_charges),"),),
    ),
    Mutant(
        "claim believes what it saw before the lock",
        (
            Patch("claim_due_uploads", "continue when not is_due(v_reservation, v_now);", ""),
            Patch("claim_due_uploads", "for update skip locked", "for update"),
        ),
    ),
    Mutant(
        "the token of a lost lease is taken",
        (
            Patch(
                "complete_upload",
                "perform raise_refusal(dead_token_refusal(v_reservation, p_token));",
                "",
            ),
        ),
    ),
    Mutant(
        "leases that have not run out are claimed",
        (
            Patch("due_uploads", "r.lease_expires_at <= p_now", "true"),
            Patch("is_due", "(p_reservation).lease_expires_at <= p_now", "true"),
        ),
    ),
    Mutant(
        "a completion without a lock",
        (Patch("complete_upload", "for update", ""),),
    ),
    Mutant(
        "the expected version is not compared",
        (Patch("version_refusal", "<> p_expected_version", "< 0"),),
    ),
    Mutant(
        "a new maximum reaches overridden days",
        (Patch("limit_days_ahead", "and not d.overridden", ""),),
    ),
    Mutant(
        "a retry does not count as a new attempt",
        (
            Patch(
                "move_reservation",
                "r.attempt + case r.upload_status when 'failed' then 1 else 0 end",
                "r.attempt",
            ),
        ),
    ),
    Mutant(
        "a refusal names the version after the one that it saw",
        (
            Patch(
                "limit_refusal",
                "'version', v_reached_version",
                "'version', v_reached_version + 1",
            ),
        ),
    ),
)
