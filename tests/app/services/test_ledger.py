"""The ledger's export: everything that was decided, in order, however much it is."""

from datetime import timedelta

from app.models import BalancerDecision, Decision
from app.models.base import utc_now
from app.services import ledger
from app.services.context import Context


def test_an_export_holds_every_decision_in_order(ctx: Context) -> None:
    start = utc_now() - timedelta(hours=1)
    with ctx.db.write() as db:
        for n in range(1_200):
            at = start + timedelta(seconds=n)
            db.add(Decision(actor="human", verb="approve", subject=f"x {n}", created_at=at))
        at = start + timedelta(seconds=600, milliseconds=500)
        db.add(BalancerDecision(at=at, mode="human", action="move", reason="Asked for."))
    lines = list(ledger.export(ctx))
    assert len(lines) == 1_201
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert {tuple(sorted(line)) for line in lines} == {tuple(sorted(lines[0]))}
    balancer = lines[601]
    assert (balancer["kind"], balancer["actor"], balancer["verb"]) == ("balancer", "human", "move")
    assert balancer["detail"]["reason"] == "Asked for."
    late = list(ledger.export(ctx, start + timedelta(seconds=1_190)))
    assert [line["subject"] for line in late] == [f"x {n}" for n in range(1_190, 1_200)]
