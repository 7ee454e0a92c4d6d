"""What was trainable when a model was compiled, and what is when it trains for the first time."""

import dataclasses

import libcst as cst

from . import walks
from .names import dotted

TRAINS = {"fit", "fit_generator", "train_on_batch"}
GROWS = (".add", ".append", ".insert", ".extend")


@dataclasses.dataclass(frozen=True)
class Event:
    """A line that sets `trainable` (`value`; None in a branch), compiles a model or trains it.

    Or one that calls a function of the script, which may set it (None in a branch). `name` is the
    text of what it does that to: a model, `net.layers[0]`, or `net.layers` for a loop over them.
    """

    kind: str
    name: str
    node: cst.BaseExpression
    function: cst.CSTNode | None
    value: bool | None = None
    in_loop: bool = False


@dataclasses.dataclass(frozen=True)
class Turn:
    """A training before which `trainable` should be set: (name, value, whether it is a loop)."""

    compiled: cst.BaseExpression
    settings: tuple[tuple[str, bool, bool], ...]


def turns(script) -> dict[cst.Call, Turn]:
    """The calls that train a model in another state than it was compiled in.

    Keras 1 and 2 trained what was trainable at `compile`; Keras 3 takes what is trainable when the
    model trains for the first time after it.

    Arguments:
        script: The script.
    """
    if ".trainable" not in script.source.text:
        return {}
    walk = _Events(script)
    script.module.visit(walk)
    events = _with_calls(script, walk.events)
    states, wrong = {}, set()
    for train in events:
        compiled = _compiled(script, events, train) if train.kind == "train" else None
        if compiled is None or not _is_first(events, compiled, train):
            continue
        parts = _parts(script, compiled.node)
        then, now = _state(events, compiled), _now(events, compiled, train)
        mine = {key: then.get(key, True) for key in now if _is_part(key, parts)}
        states[train] = compiled, mine
        for key, value in mine.items():
            if value is not None and now[key] is not None and value != now[key]:
                wrong.add(key)
    loops = {one.name: one.in_loop for one in events if one.kind == "set"}
    found = {}
    for train, (compiled, mine) in states.items():
        keys = [key for key in mine if key in wrong and mine[key] is not None]
        keys = [key for key in keys if not any(_within(key, k) for k in keys if k != key)]
        settings = tuple((key, mine[key], loops[key]) for key in keys)
        if settings:
            found[train.node] = Turn(compiled.node, settings)
    return found


def _with_calls(script, events):
    """The events, and in place of each call of a function what it sets of its arguments."""
    found = []
    for one in events:
        if one.kind != "call":
            found.append(one)
            continue
        given = dict(_given(script, one))
        for inside in events:
            first, _, rest = inside.name.partition(".")
            is_set = inside.kind == "set" and getattr(inside.function, "name", None) is not None
            if is_set and inside.function.name.value == one.name and given.get(first):
                name = f"{given[first]}.{rest}" if rest else given[first]
                value = inside.value if one.value else None
                found.append(
                    dataclasses.replace(inside, name=name, function=one.function, value=value)
                )
    return found


def _given(script, event):
    """Parameter -> the name that a call passes for it."""
    names = [one.name.value for one in script.facts.parameters.get(event.name, ())]
    for place, arg in enumerate(event.node.args):
        if arg.keyword is not None:
            yield arg.keyword.value, dotted(arg.value)
        elif place < len(names):
            yield names[place], dotted(arg.value)


def _compiled(script, events, train):
    """The `compile` that a training follows."""
    all_of_it = [one for one in events if one.kind == "compile" and one.name == train.name]
    owner = train.node.func.value
    same = [
        one
        for one in all_of_it
        if not isinstance(owner, cst.Name)
        or script.facts.flow.is_parameter(owner)
        or script.binder(owner) is script.binder(one.node)
    ]
    before = events[: events.index(train)]
    here = [one for one in same if one.function is train.function and one in before]
    if here:
        return here[-1]
    return same[-1] if len({one.function for one in same}) == 1 else None


def _is_first(events, compiled, train):
    """Whether no line of the same function trains the model after its `compile` and before."""
    begin = events.index(compiled) if compiled.function is train.function else 0
    between = events[begin : events.index(train)]
    return not any(
        one.kind == "train" and one.name == train.name and one.function is train.function
        for one in between
    )


def _state(events, until, begin=None):
    """What is trainable at an event, by the lines of its function before it."""
    state = dict(begin or {})
    for one in events:
        if one is until:
            break
        if one.kind == "set" and one.function is until.function:
            _set(state, one)
    return state


def _set(state, event):
    for key in [key for key in state if _within(key, event.name)]:
        state[key] = event.value
    state[event.name] = event.value


def _now(events, compiled, train):
    """What is trainable at a training: by the function that compiles, then by its own."""
    if compiled.function is train.function:
        return _state(events, train)
    state = {}
    for one in events:
        if one.kind == "set" and one.function is compiled.function:
            _set(state, one)
    return _state(events, train, state)


def _within(key, name):
    return key == name or key.startswith((f"{name}.", f"{name}["))


def _is_part(key, parts):
    """Whether a model is built of what a key names."""
    name = key.partition(".layers")[0]
    return any(_within(part, name) for part in parts)


def _parts(script, node):
    """The texts of all names that a model is made of, as far as the script shows it."""
    return _made_of(script, node)[0]


def _made_of(script, node):
    """The names and the calls that a model is made of, as far as the script shows it."""
    adds = [one for one in script.facts.calls if dotted(one.func).endswith(GROWS)]
    names, seen, calls, todo = set(), set(), [], [node]
    while todo and len(seen) < 500:
        one = todo.pop()
        name = dotted(one)
        key = (script.binder(one) if isinstance(one, cst.Name) else None, name)
        if isinstance(one, cst.Call):
            calls.append(one)
        if not name:
            todo += one.children
        elif key not in seen:
            seen.add(key)
            names.add(name)
            todo += script.facts.flow.values(one)
            todo += script.facts.flow.loops_over(one) if isinstance(one, cst.Name) else []
            todo += [arg.value for call in adds if _adds_to(script, call, one) for arg in call.args]
    return names, calls


def may_be_frozen(script, call: cst.Call) -> bool:
    """Whether a layer may belong to something that is set to `trainable = False`.

    Arguments:
        script: The script.
        call: What makes the layer, or a network that has it.

    Returns:
        False only where all that is frozen is seen to be made of other layers.
    """
    frozen = script.facts.frozen_at_times
    for target in script.facts.targets:
        if not isinstance(target, cst.Attribute) or target.attr.value != "trainable":
            continue
        name = dotted(target.value)
        if not name or (name in frozen and _may_hold(script, target.value, call)):
            return True
    return any(
        dotted(one.func) == "setattr" and "'trainable'" in script.code(one).replace('"', "'")
        for one in script.facts.calls
    )


def _may_hold(script, node, call):
    if isinstance(node, cst.Name) and (over := script.facts.flow.loops_over(node)):
        return any(_may_hold(script, _without_layers(one), call) for one in over)
    names, calls = _made_of(script, node)
    if not calls or call in calls or _goes_elsewhere(script, names):
        return True
    functions, todo = set(), {_last(one) for one in calls}
    while todo:
        functions |= todo
        inside = {
            _last(one) for one, within in script.facts.within.items() if functions & set(within)
        }
        todo = inside - functions
    return bool(functions & set(script.facts.within.get(call, ())))


def _last(call):
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    return name.value if isinstance(name, cst.Name) else ""


def _goes_elsewhere(script, names):
    """Whether something may be added to one of the names where it has another name."""
    adds = [one for one in script.facts.calls if dotted(one.func).endswith(GROWS)]
    grow = {dotted(one.func).rpartition(".")[0] for one in adds}
    adding = {name for one in adds for name in script.facts.within.get(one, ())}
    given = (one for one in script.facts.calls if _last(one) in adding)
    aliases = (
        value
        for name, values in script.facts.assigned.items()
        if name in grow - names
        for value in values
    )
    return any(dotted(arg.value) in names for one in given for arg in one.args) or any(
        dotted(one) in names for one in aliases if isinstance(one, (cst.Name, cst.Attribute))
    )


def _without_layers(node):
    """`net` of `net.layers` and of `net.layers[:3]`."""
    if isinstance(node, cst.Subscript):
        return _without_layers(node.value)
    is_layers = isinstance(node, cst.Attribute) and node.attr.value == "layers"
    return node.value if is_layers else node


def _adds_to(script, call, node):
    """Whether a call is the `add` of what a name means."""
    owner = call.func.value
    if dotted(owner) != dotted(node):
        return False
    both = isinstance(owner, cst.Name) and isinstance(node, cst.Name)
    return not both or script.binder(owner) is script.binder(node)


class _Events(walks.Visitor):
    """The events of a script in the order of its lines."""

    def __init__(self, script):
        super().__init__()
        self._script = script
        self.events: list[Event] = []
        self._functions: list[cst.CSTNode] = []
        self._loops: list[tuple[str, cst.BaseExpression]] = []
        self._branches = [0]

    def _note(self, kind, name, node, **more):
        function = self._functions[-1] if self._functions else None
        self.events.append(Event(kind, name, node, function, **more))

    def visit_FunctionDef(self, node):
        self._functions.append(node)
        self._branches.append(0)

    def leave_FunctionDef(self, original_node):
        self._functions.pop()
        self._branches.pop()

    def visit_If(self, node):
        self._branches[-1] += 1

    def leave_If(self, original_node):
        self._branches[-1] -= 1

    def visit_For(self, node):
        self._loops.append((dotted(node.target), node.iter))

    def leave_For(self, original_node):
        self._loops.pop()

    def visit_Assign(self, node):
        for target in node.targets:
            one = target.target
            if not isinstance(one, cst.Attribute) or one.attr.value != "trainable":
                continue
            name, over = self._script.code(one.value), None
            if isinstance(one.value, cst.Name):
                over = next((i for t, i in reversed(self._loops) if t == name), None)
            value = {"True": True, "False": False}.get(self._script.code(node.value))
            if self._branches[-1]:
                value = None
            name = name if over is None else self._script.code(over)
            self._note("set", name, one.value, value=value, in_loop=over is not None)

    def leave_Call(self, original_node):
        func = original_node.func
        if isinstance(func, cst.Name) and func.value in self._script.facts.parameters:
            always = None if self._branches[-1] else True
            self._note("call", func.value, original_node, value=always)
        if not isinstance(func, cst.Attribute) or not dotted(func.value):
            return
        if func.attr.value == "compile":
            self._note("compile", dotted(func.value), func.value)
        elif func.attr.value in TRAINS:
            self._note("train", dotted(func.value), original_node)
