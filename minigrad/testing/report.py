"""What a check says of a thing in which it finds no fault."""

from __future__ import annotations

from dataclasses import dataclass, field

_AT_KINKS = "at kinks: compared with one side"


@dataclass
class Report:
    """What a check did: as text a table."""

    name: str
    notes: list[str] = field(default_factory=list)  # how the arguments were found
    examples: dict[str, int] = field(default_factory=dict)  # of each property that holds
    skipped: dict[str, str] = field(default_factory=dict)  # and why
    kinks: dict[str, int] = field(default_factory=dict)  # in how many examples a property saw one side of a kink only

    def __str__(self) -> str:
        width = max(map(len, [*self.examples, *self.skipped, ""]))
        lines = [f"{self.name}: {len(self.examples)} properties hold"]
        lines += [f"  {note}" for note in self.notes]
        for name, count in self.examples.items():
            kinks = self.kinks.get(name)
            lines.append(f"  {name:<{width}}  {count:>4} examples" + (f", {kinks} {_AT_KINKS}" if kinks else ""))
        lines += [f"  {name:<{width}}     - {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)
