"""One service as the queries to Prometheus name it, in words for messages. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.metrics.engine_names import EngineNames
from medley_operator.metrics.queries import GATEWAY_NAMESPACE, GATEWAY_SERVICE, series_text


@dataclass(frozen=True, slots=True)
class ServiceSeries:
    """`address` is that of Prometheus; `gateway_metric` the counter of the gateway's sizes, "" where none is read."""

    key: ServiceKey
    window_seconds: int
    names: EngineNames
    address: str
    gateway_metric: str = ""

    def series(self, metric: str) -> str:
        return series_text(metric, namespace=self.key.namespace, service=self.key.name)

    @property
    def gateway_series(self) -> str:
        namespace, service = self.key
        return f'{self.gateway_metric}{{{GATEWAY_NAMESPACE}="{namespace}",{GATEWAY_SERVICE}="{service}"}}'

    @property
    def where(self) -> str:
        return f"in Prometheus {self.address}"
