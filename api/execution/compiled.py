"""A selection as a function: Python written for it once, from a list of objects to the list of their dictionaries.

Everything below an object that needs no awaiting is in the one function, without a call or a column for each field. It
knows the ordinary case alone: whatever else it meets (null where there must be none, an exception, a value of another
type) raises, and the run begins again by slots, which know them all. What has to be awaited, and objects whose type
only they know, are holes: the function leaves None there, and tells whose they are.
"""

import keyword
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from inspect import isawaitable
from typing import Any, Final

from graphql import GraphQLObjectType, Undefined

from api.execution.complete import Leaf, Written, kinds_of, may_come_written
from api.execution.plan import Field, How, Selection

# Python allows 20 blocks inside each other; what lies deeper is a hole.
MAX_LOOPS: Final = 8
_HOLE: Final = object()
_PLAIN: Final = frozenset({str, int, float, bool, datetime, date, list, dict})

Bind = Callable[[Field], dict[str, Any]]
Hole = tuple[Field, bool, list[Any], list[dict[str, Any]]]
"""A field, whether its values are there already, its parents or these values, and the dictionaries that wait."""


class UnusualError(Exception):
    """Something that the function does not know: slots have to answer."""


def compiled(selection: Selection) -> Callable[[list[Any], Bind], tuple[list[dict[str, Any]], tuple[Hole, ...]]]:
    """The function of a selection: from objects, and what binds a field's arguments, to dictionaries and their holes.

    Raises GraphQLError where a switch below has no value.
    """
    return _Writer().function(selection)


class _Writer:
    """Writes one function. `known` is what its text names; only keys of the answer are in the text, as literals."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {"Unusual": UnusualError, "Plain": _PLAIN, "Written": Written, "Hole": _HOLE}
        self.known |= {"Float": float, "Int": int, "Str": str, "Bool": bool, "Moment": datetime, "UTC": UTC}
        self._head: list[str] = []
        self._body: list[str] = []
        self._holes: list[tuple[str, bool]] = []
        self._indent = 1
        self._loops = 0
        self._count = 0

    def function(self, selection: Selection) -> Callable[..., Any]:
        """The compiled function."""
        with self._loop("objects", "made") as each:
            result = self._object(selection, each)
            self._write(f"add_made({result})")
        holes = ", ".join(f"({field}, {is_there}, p{field}, d{field})" for field, is_there in self._holes)
        lines = [*self._head, *self._body, f"    return made, ({holes}{',' if holes else ''})"]
        source = "\n".join(["def make(objects, bind):", *lines])
        exec(compile(source, "<selection>", "exec"), self.known)  # noqa: S102 - the document's keys are literals in it
        function: Callable[..., Any] = self.known.pop("make")
        return function

    def _object(self, selection: Selection, each: str) -> str:
        """Statements for one object; the expression of its dictionary."""
        kinds = self._name(set())
        check = self._name(_checker(selection.type, self.known[kinds]))
        self._write(f"if type({each}) not in {kinds}: {check}({each})")
        entries: list[str] = []
        holes: list[tuple[str, ...]] = []
        for field in selection.fields:
            value, hole = self._field(field, each)
            entries.append(f"{field.key!r}: {value}")
            holes += [hole] if hole else []
        display = f"{{{', '.join(entries)}}}"
        if not holes:
            return display
        made = self._variable()
        self._write(f"{made} = {display}")
        for field_name, filler, *tests in holes:
            self._write(*tests, f"p{field_name}.append({filler}); d{field_name}.append({made})")
        return made

    def _field(self, field: Field, each: str) -> tuple[str, tuple[str, ...] | None]:
        """The expression of a field's value; for a hole also its name, what is kept for it, and a test if it may be none."""
        if field.how is How.TYPENAME:
            return repr(field.parent.name), None
        depth = len(field.non_null) - 1
        is_deep = depth > 1 or field.abstract is not None or (depth and self._loops >= MAX_LOOPS)
        if field.is_sync:
            value = self._variable()
            self._write(f"{value} = {self._call(field, each)}")
            return (
                ("None", (self._hole(field, is_there=True), value))
                if is_deep
                else (self._completed(field, value), None)
            )
        hole = self._hole(field, is_there=False)
        if is_deep or field.own is None or not field.may_have_resolved:
            return "None", (hole, each)
        value, made = self._variable(), self._variable()
        self._write(f"{value} = {each}.resolved.get({field.own.python_name!r}, Hole)")
        self._write(f"{made} = None")
        self._write(f"if {value} is not Hole:")
        with self._indented():
            self._write(f"{made} = {self._completed(field, value)}")
        return made, (hole, each, f"if {value} is Hole: ")

    def _completed(self, field: Field, value: str) -> str:
        """Statements that make `value` what goes out; its expression."""
        depth = len(field.non_null) - 1
        if field.leaf is not None and depth:
            leaves = self._name(_list_of(field.leaf, is_non_null=field.non_null[1]))
            self._write(
                f"{value} = {leaves}({value})" + ("" if field.non_null[0] else f" if {value} is not None else None")
            )
            if field.non_null[0]:
                self._write(f"if {value} is None: raise Unusual")
        elif field.leaf is not None:
            self._leaf(field.leaf, value, is_non_null=field.non_null[0])
        else:
            return self._objects(field, value, is_list=bool(depth))
        return value

    def _call(self, field: Field, each: str) -> str:
        if field.how is How.ATTRIBUTE and field.own is not None:
            name = field.own.python_name
            if name.isidentifier() and not keyword.iskeyword(name):
                return f"{each}.{name}"
        call = self._name(field.call)
        if not field.definition.args and field.info_name is None:
            return f"{call}({each})"
        arguments = f"a{self._count}"
        self._head.append(f"    {arguments} = bind({self._name(field)})")
        return f"{call}({each}, **{arguments})"

    def _hole(self, field: Field, *, is_there: bool) -> str:
        name = self._name(field)
        self._holes.append((name, is_there))
        self._head.append(f"    p{name} = []; d{name} = []")
        return name

    def _leaf(self, leaf: Leaf, value: str, *, is_non_null: bool) -> None:
        """Make `value` what orjson writes. One comparison of types where the value goes out as it is."""
        other = self._name(_one_of(leaf))
        null = "" if is_non_null else f" and {value} is not None"
        if leaf.is_float:
            self._write(f"if (type({value}) is not Float or {value} - {value} != 0){null}: {value} = {other}({value})")
        elif leaf.is_int:
            fits = f"-2147483648 <= {value} <= 2147483647"
            self._write(f"if (type({value}) is not Int or not {fits}){null}: {value} = {other}({value})")
        elif leaf.native is not None:
            native = {str: "Str", bool: "Bool"}[leaf.native]
            done = (
                f"Str({value}) if type({value}) is Int else {other}({value})"
                if leaf.coerce is str
                else f"{other}({value})"
            )
            self._write(f"if type({value}) is not {native}{null}: {value} = {done}")
        elif leaf.by_text is not None:
            texts = self._name({each: out for each, out in leaf.by_text.items() if each is not None})
            members = self._name({each: out for each, out in (leaf.by_identity or {}).items() if out is not None})
            self._write(
                f"if {value} is not None: " if not is_non_null else "",
                f"{value} = {texts}[{value}] if type({value}) is Str else {members}[id({value})]",
            )
        elif leaf.is_moment:
            goes_out = f"type({value}) is Moment and {value}.tzinfo is UTC and {value}.microsecond"
            self._write(f"if not ({goes_out}){null}: {value} = {other}({value})")
        else:
            self._write("if True:" if is_non_null else f"if {value} is not None:")
            with self._indented():
                coerce = self._name(leaf.coerce)
                self._write(f"{value} = {coerce}({value}) if type({value}) in Plain else {other}({value})")
                self._write(f"if {value} is None: raise Unusual")

    def _objects(self, field: Field, value: str, *, is_list: bool) -> str:
        """Statements for an object or a list of them; the variable that holds what they became."""
        assert field.object is not None  # noqa: S101 - the caller has looked
        selection = field.selection(field.object)
        through: list[tuple[str, str]] = []
        if may_come_written(field.object):
            through.append((f"type({value}) is Written", f"{value}.answer"))
        if field.non_null[0]:
            self._write(f"if {value} is None: raise Unusual")
        else:
            through.append((f"{value} is None", "None"))
        opened = self._list if is_list else self._one
        if not through:
            return opened(field, selection, value)
        made = self._variable()
        for at, (test, result) in enumerate(through):
            self._write(f"{'elif' if at else 'if'} {test}: {made} = {result}")
        self._write("else:")
        with self._indented():
            self._write(f"{made} = {opened(field, selection, value)}")
        return made

    def _one(self, _: Field, selection: Selection, value: str) -> str:
        return self._object(selection, value)

    def _list(self, field: Field, selection: Selection, value: str) -> str:
        made = self._variable()
        self._write(f"if type({value}) is not list: raise Unusual")
        with self._loop(value, made) as each:
            if not field.non_null[1]:
                self._write(f"if {each} is None:")
                with self._indented():
                    self._write(f"add_{made}(None); continue")
            self._write(f"add_{made}({self._object(selection, each)})")
        return made

    @contextmanager
    def _loop(self, values: str, made: str) -> Iterator[str]:
        each = self._variable()
        self._write(f"{made} = []; add_{made} = {made}.append")
        self._write(f"for {each} in {values}:")
        self._loops += 1
        with self._indented():
            yield each
        self._loops -= 1

    @contextmanager
    def _indented(self) -> Iterator[None]:
        self._indent += 1
        yield
        self._indent -= 1

    def _write(self, *parts: str) -> None:
        self._body.append("    " * self._indent + "".join(parts))

    def _variable(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _name(self, thing: Any) -> str:
        self._count += 1
        name = f"k{self._count}"
        self.known[name] = thing
        return name


def _checker(type_: GraphQLObjectType, kinds: set[type]) -> Callable[[Any], None]:
    """Lets a class into `kinds` when its objects are of the type without asking. Raises UnusualError."""

    def check(value: Any) -> None:
        if isinstance(value, Exception) or isawaitable(value) or not is_own(type_, {type(value)}):
            raise UnusualError
        kinds.add(type(value))

    return check


def is_own(type_: GraphQLObjectType, kinds: set[type]) -> bool:
    """Whether objects of these classes are of the type without asking: it does not ask, or they are its very own class."""
    if type_.is_type_of is None:
        return True
    definition = type_.extensions.get("strawberry-definition")
    return definition is not None and definition.is_type_of is None and kinds == {definition.origin}


def _one_of(leaf: Leaf) -> Callable[[Any], Any]:
    coerce = leaf.coerce

    def one(value: Any) -> Any:
        if value is None or value is Undefined or isinstance(value, Exception) or isawaitable(value):
            raise UnusualError
        done = coerce(value)
        if done is None or done is Undefined:
            raise UnusualError
        return done

    return one


def _list_of(leaf: Leaf, *, is_non_null: bool) -> Callable[[Any], list[Any]]:
    def several(values: Any) -> list[Any]:
        if type(values) is not list:
            raise UnusualError
        return leaves(leaf, values, is_non_null=is_non_null)

    return several


def leaves(leaf: Leaf, values: list[Any], *, is_non_null: bool) -> list[Any]:
    """A whole column of leaves. Raises UnusualError."""
    kinds = kinds_of(values)
    done = leaf.swiftly(values, kinds, is_non_null=is_non_null)
    if done is None or any(hasattr(kind, "__await__") for kind in kinds):
        raise UnusualError
    return done
