"""Fields of objects: asked for by name and type, and no field passed over unsaid."""

from collections.abc import Iterator, Mapping

from meshc.reading import ConfigObject, Step
from meshc.target import Json
from meshc_linkerd.read.account import NotUnderstoodError


class Fields:
    """The fields of one mapping in an object, which remember what was asked for."""

    __slots__ = ("_asked", "data", "source", "steps")

    def __init__(self, data: Mapping[str, Json], source: ConfigObject, steps: tuple[Step, ...]) -> None:
        self.data = data
        self.source = source
        self.steps = steps
        self._asked: set[str] = set()

    @classmethod
    def spec(cls, source: ConfigObject) -> "Fields":
        """The spec of an object. Raises NotUnderstoodError."""
        return cls(source.data, source, ()).fields("spec")

    def error(self, message: str, *steps: Step) -> NotUnderstoodError:
        return NotUnderstoodError(message, *self.steps, *steps)

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(f"`{name}` should be a text", name)
        return value

    def number(self, name: str) -> int | None:
        value = self._get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.error(f"`{name}` should be a whole number", name)
        return value if isinstance(value, int) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.error(f"`{name}` should be a list of texts", name)
        return tuple(one for one in value if isinstance(one, str))

    def fields(self, name: str) -> "Fields":
        """A mapping; an empty one if it is not given."""
        value = self._get(name)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.error(f"`{name}` should be a mapping", name)
        return Fields(value, self.source, (*self.steps, name))

    def each(self, name: str) -> Iterator["Fields"]:
        """The mappings of a list."""
        value = self._get(name)
        if value is None:
            return
        if not isinstance(value, list | tuple):
            raise self.error(f"`{name}` should be a list", name)
        for place, one in enumerate(value):
            if not isinstance(one, Mapping):
                raise self.error(f"`{name}` should be a list of mappings", name, place)
            yield Fields(one, self.source, (*self.steps, name, place))

    def finish(self) -> None:
        """Raises NotUnderstoodError if there is a field that nobody has asked for."""
        for name, value in self.data.items():
            if name not in self._asked and value is not None:
                raise self.error(f"the field `{name}` is not understood", name)

    def ignore(self, *names: str) -> None:
        """Say of fields that they mean nothing here."""
        self._asked.update(names)

    def _get(self, name: str) -> Json:
        self._asked.add(name)
        return self.data.get(name)
