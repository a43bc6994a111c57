"""Field types of the API: strings with patterns and bounds, and the one reader of durations.

Patterns hold in RE2 (the API server) and in Rust's regex (pydantic) alike. Every string is bounded, since the server
refuses CEL rules whose cost it cannot bound.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MAX_SERVICE_NAME_LENGTH = 36
MAX_POOL_NAME_LENGTH = 20
MAX_VARIANT_NAME_LENGTH = 24
MAX_VARIANTS = 16

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED_TAIL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"

DNS_LABEL_PATTERN = rf"^{_LABEL}$"
SERVICE_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""DNS-1035: Services are named after an LLMService, and their names start with a letter."""
LABEL_KEY_PATTERN = rf"^({_SUBDOMAIN}/)?{_QUALIFIED_TAIL}$"

Duration = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)$", max_length=14)]
Money = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14)]
Beta = Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?$", max_length=6)]
Rate = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14)]
BinaryQuantity = Annotated[str, Field(pattern=r"^[0-9]+(Mi|Gi)$", max_length=12)]
CpuQuantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,3})?m?$", max_length=12)]
Dns1123Label = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
Dns1123Subdomain = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
PoolName = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=MAX_POOL_NAME_LENGTH)]
VariantName = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=MAX_VARIANT_NAME_LENGTH)]
LabelKey = Annotated[str, Field(pattern=LABEL_KEY_PATTERN, max_length=317)]
LabelValue = Annotated[str, Field(pattern=rf"^({_QUALIFIED_TAIL})?$", max_length=63)]
ZoneName = Annotated[str, Field(pattern=rf"^{_QUALIFIED_TAIL}$", min_length=1, max_length=63)]
ResourceName = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}/{_QUALIFIED_TAIL}$", max_length=317)]
EngineArgument = Annotated[str, Field(pattern=r"^--[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*(=.{0,512})?$", max_length=600)]
EngineFlag = Annotated[str, Field(pattern=r"^--[a-z0-9][a-z0-9-]*$", max_length=80)]
TokenBudget = Annotated[int, Field(ge=256, le=131072)]
