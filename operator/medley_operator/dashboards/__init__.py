"""Grafana dashboards as code: `python -m medley_operator.dashboards --output FOLDER` writes a file for each board.

The chart holds the output (`make dashboards`), which `make lint` compares. Every query is proved to answer: most in the
end-to-end run, the others on given series (`panels.Proof`).
"""

from medley_operator.dashboards.fleet import FLEET
from medley_operator.dashboards.operator_loop import OPERATOR
from medley_operator.dashboards.power import POWER
from medley_operator.dashboards.service import SERVICE_BOARD

BOARDS = (FLEET, SERVICE_BOARD, OPERATOR, POWER)

__all__ = ["BOARDS"]
