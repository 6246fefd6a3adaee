"""What the advisor says of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Family = Literal[
    "scheduling",
    "queueing",
    "startup",
    "storage",
    "preprocessing",
    "inference",
    "device",
    "transfer",
    "postprocessing",
    "neighbours",
]
"""What can limit a run.

``scheduling`` is the wait until the scheduler finds a task runnable, ``queueing`` that for a slot,
``startup`` the start of tasks and the loading of models, ``storage`` reading and writing, ``device`` a device
that waits for the host, ``transfer`` bytes moved between stages and to a device, ``neighbours`` others on the
same cores.
"""

Scope = Literal["spec", "airflow", "pool", "mode", "host", "command"]

Kind = Literal["setting", "mode", "conditional"]

MODE_WEIGHT = 0.5
"""How much of the time counts that another mode of execution saves.

It changes how a run is retried and inspected, and spares a run much that has a cause of its own.
"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Model):
    """One value to change, for a program to apply.

    :param scope: where: ``spec`` a key of the pipeline spec; ``airflow`` an option of Airflow's
        configuration; ``pool`` the slots of a pool; ``mode`` how the pipeline is run; ``host`` the machine;
        ``command`` a command to run first
    :param key: dotted key of the spec, ``[section] option``, a pool's name, ``mode``, what to change of the
        host, or the command
    :param value: what to set it to
    :param before: what it was; None where it was not set, or where that is not known
    """

    scope: Scope
    key: str
    value: JsonValue = None
    before: JsonValue = None

    def __str__(self) -> str:
        """Return the change as people write it down."""
        if self.scope == "command":
            return self.key
        name = f"slots of pool {self.key}" if self.scope == "pool" else self.key
        was = "" if self.before is None else f" (now {_shown(self.before)})"
        return f"{name} = {_shown(self.value)}{was}"


class Recommendation(_Model):
    """What a rule found in a run, and what to do about it.

    :param rule: the rule's name
    :param family: what limits the run
    :param title: what was found, in one line
    :param evidence: the numbers that show it
    :param changes: what to change; all of them together
    :param gain: the run's time now over its time after the change, 1 or more
    :param saved_s: the seconds that this saves
    :param formula: how the gain was predicted
    :param assumptions: what has to hold for it
    :param reason: who has shown the law that it rests on
    :param kind: ``setting`` a changed value, ``mode`` another way to run, ``conditional`` what helps only if
        something holds that the report cannot show
    """

    rule: str
    family: Family
    title: str
    evidence: tuple[str, ...]
    changes: tuple[Change, ...] = Field(min_length=1)
    gain: float = Field(ge=1, allow_inf_nan=False)
    saved_s: float = Field(ge=0, allow_inf_nan=False)
    formula: str
    assumptions: str
    reason: str
    kind: Kind = "setting"

    @property
    def rank(self) -> tuple[bool, float]:
        """Its place among others, the largest first: what is conditional comes after all that is not."""
        return self.kind != "conditional", self.saved_s * (MODE_WEIGHT if self.kind == "mode" else 1.0)


class Diagnosis(_Model):
    """What limits a run.

    :param elapsed_s: the run's time, from its first task's scheduling where Airflow's times are known
    :param limit: what limits it: the family of the first cause that a setting cures, else that with the
        largest share
    :param shares: parts of the run's time by family, 0 to 1, the largest first; what is not accounted for is
        left out
    :param recommendations: what to change, the most promising first
    """

    elapsed_s: float
    limit: Family | None = None
    shares: dict[Family, float] = Field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()


def _shown(value: JsonValue) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)
