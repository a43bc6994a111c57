"""Faults as text: each form is read, and what is none is refused with the forms."""

from __future__ import annotations

import pytest

from medley_operator.replay.faults import FaultKind, WorldFault, fault_of


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("out-of-stock:h100@1h+30m", WorldFault(FaultKind.OUT_OF_STOCK, 3600.0, "h100", 1800.0)),
        ("prometheus@90s+20m", WorldFault(FaultKind.PROMETHEUS, 90.0, "", 1200.0)),
        ("crash:l4@30m:0.5", WorldFault(FaultKind.CRASH, 1800.0, "l4", 0.0, 0.5)),
        ("reclaim:spot@2h:1", WorldFault(FaultKind.RECLAIM, 7200.0, "spot", 0.0, 1.0)),
        ("price:h100@6h:9.5", WorldFault(FaultKind.PRICE, 21600.0, "h100", 0.0, 9.5)),
    ],
)
def test_each_form_is_read(text: str, fault: WorldFault) -> None:
    assert fault_of(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        "", "fire:h100@1h", "out-of-stock:h100@1h", "out-of-stock@1h+1h", "prometheus:h100@1h+1h", "crash:l4@1h",
        "crash:l4@1h:0", "reclaim:l4@1h:1.5", "price:h100@1h+1h", "price:h100:9@1h", "crash:l4@1:0.5",
        "crash:l4@1h:1.2.3",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a fault; write out-of-stock"):
        fault_of(text)
