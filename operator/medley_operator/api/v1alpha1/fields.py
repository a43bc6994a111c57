"""Field types of the API: strings with patterns and bounds, and how a message says what they look like.

Patterns hold in RE2 (the API server) and in Rust's regex (pydantic) alike. Every string is bounded, since the server
refuses CEL rules whose cost it cannot bound.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from medley_planner.schema_faults import as_word, bad_form

MAX_SERVICE_NAME_LENGTH = 36
MAX_POOL_NAME_LENGTH = 20
MAX_VARIANT_NAME_LENGTH = 24
MAX_VARIANTS = 16

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED_TAIL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PATH_WORD = r"[A-Za-z0-9_][A-Za-z0-9._=+-]*"
"""One part of a path: none starts with a dot, so that no path leads upwards."""
_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"
_IMAGE = (
    r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?"
)

DNS_LABEL_PATTERN = rf"^{_LABEL}$"
SERVICE_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""DNS-1035: Services are named after an LLMService, and their names start with a letter."""
LABEL_KEY_PATTERN = rf"^({_SUBDOMAIN}/)?{_QUALIFIED_TAIL}$"


MOST_FIGURE = 1e12
"""No rate, price or percentage of a status is above it, and decimals of what is far above are not exact any more."""


def figure_of(text: str) -> float:
    """The figure of a status field, which anybody may edit: 0 unless the text is a number from 0 to `MOST_FIGURE`."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= MOST_FIGURE else 0.0


def mebibytes(text: str) -> int:
    """The size that a `BinaryQuantity` says."""
    return int(text[:-2]) * (1024 if text.endswith("Gi") else 1)


def written_as(form: str) -> WrapValidator:
    """For a string with a pattern: what is not of it is refused with `form` instead of the pattern."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise bad_form(form, quoted=_holds_in_quotes(value, handler)) from error

    return WrapValidator(check)


def _holds_in_quotes(value: Any, handler: ValidatorFunctionWrapHandler) -> bool:
    """Whether quotes are all that is missing: YAML takes a bare 0.8 for a number."""
    word = as_word(value)
    if word is None:
        return False
    try:
        handler(word)
    except ValidationError:
        return False
    return True


DECIMAL = 'a decimal number in quotes, such as "0.805"'

Duration = Annotated[
    str,
    Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)$", max_length=14),
    written_as('a duration with its unit, such as "250ms", "5s" or "10m"'),
]
Money = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14), written_as(DECIMAL)]
Beta = Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?$", max_length=6), written_as(DECIMAL)]
Rate = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", max_length=14), written_as(DECIMAL)]
BinaryQuantity = Annotated[
    str, Field(pattern=r"^[0-9]+(Mi|Gi)$", max_length=12), written_as('a size with its unit, such as "8Gi"')
]
CpuQuantity = Annotated[
    str,
    Field(pattern=r"^[0-9]+(\.[0-9]{1,3})?m?$", max_length=12),
    written_as('a number of cores, such as "4" or "500m"'),
]
Dns1123Label = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
Dns1123Subdomain = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
PoolName = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=MAX_POOL_NAME_LENGTH)]
VariantName = Annotated[str, Field(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=MAX_VARIANT_NAME_LENGTH)]
LabelKey = Annotated[str, Field(pattern=LABEL_KEY_PATTERN, max_length=317)]
LabelValue = Annotated[str, Field(pattern=rf"^({_QUALIFIED_TAIL})?$", max_length=63)]
ZoneName = Annotated[str, Field(pattern=rf"^{_QUALIFIED_TAIL}$", min_length=1, max_length=63)]
ResourceName = Annotated[str, Field(pattern=rf"^{_SUBDOMAIN}/{_QUALIFIED_TAIL}$", max_length=317)]
EngineArgument = Annotated[
    str,
    Field(pattern=r"^--[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*(=.{0,512})?$", max_length=600),
    written_as("--flag or --flag=value"),
]
ModelUri = Annotated[
    str,
    Field(
        pattern=rf"^(hf://{_WORD}/{_WORD}|pvc://{_SUBDOMAIN}(/{_PATH_WORD})*|oci://{_IMAGE}"
        rf"|s3://{_BUCKET}(/{_PATH_WORD})+|gs://{_BUCKET}(/{_PATH_WORD})+)$",
        max_length=512,
    ),
    written_as(
        "hf://organisation/model, pvc://claim/path, oci://image, s3://bucket/path or gs://bucket/path, with no part of "
        "a path that starts with a dot"
    ),
]
ModelId = Annotated[
    str,
    Field(pattern=rf"^{_WORD}/{_WORD}$", max_length=256),
    written_as("organisation/model, as on Hugging Face"),
]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
AbsolutePath = Annotated[
    str,
    Field(pattern=rf"^(/{_PATH_WORD})+$", max_length=256),
    written_as("an absolute path, with no part that starts with a dot"),
]
UriPrefix = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9]*://[A-Za-z0-9._/-]*$", max_length=256),
    written_as("the beginning of a model's address, such as hf://meta-llama"),
]
Timestamp = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z$",
        max_length=20,
    ),
    written_as('a time in UTC, such as "2026-11-27T13:00:00Z"'),
]


def seconds_between(start: str, end: str) -> float:
    """Between two `Timestamp`s. Raises `ValueError` for a day that does not exist, as the API server refuses it."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


EngineFlag = Annotated[
    str, Field(pattern=r"^--[a-z0-9][a-z0-9-]*$", max_length=80), written_as("--flag, without a value")
]
TokenBudget = Annotated[int, Field(ge=256, le=131072)]
