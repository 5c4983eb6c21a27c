"""The C function of each layer."""

from typing import Any

import numpy as np

from spikewise.dynamics import ALIF, CubaLIF
from spikewise.graph import Activation, AvgPool, Conv2d, GlobalAvgPool, Linear, MaxPool, Neuron, Residual
from spikewise.interop.c.integers import ONE
from spikewise.interop.c.layout import Layout, Operation, Window, Wire, needs_memory
from spikewise.interop.c.memory import scratch
from spikewise.interop.c.numbers import Own, Quantities
from spikewise.interop.c.text import literal
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, SpikeCount

__all__ = ["Writer"]


class Writer:
    """Writes the functions of all layers, and notes the helpers that they call."""

    def __init__(self, layout: Layout, quantities: Quantities) -> None:
        self._layout, self._quantities = layout, quantities
        self._whole = quantities.numbers == "int8"
        self.used: set[str] = set()

    def function(self, one: Operation) -> str:
        """Text of one layer's function; empty where there is nothing to compute."""
        if not one.works:
            return ""
        layer, own = one.at.layer, self._quantities.own[one.at.name]
        match layer:
            case Linear() | Conv2d():
                body = self._weighted(one, own)
            case Neuron():
                body = self._neurons(one, own)
            case Residual():
                body = self._join(one, own)
            case Activation():
                body = self._relu(one)
            case _:
                body = self._pool(one, own)
        head = f"/* {one.at.name}: {layer.summary}, {_words(one.at.input)} -> {_words(one.at.output)} */"
        return (
            f"{head}\nstatic void run_{one.at.name}(state *s)\n{{\n" + "".join(f"    {line}\n" for line in body) + "}\n"
        )

    def evidence(self) -> list[str]:
        """What the readout takes from a last layer that is no neuron."""
        out = self._layout.out
        return [
            f"for (uint32_t i = 0; i < {out.size}; i++) {{",
            f"    const value v = {self.values(out)}[i];",
            *(f"    {line}" for line in self._see("i")),
            "}",
        ]

    def values(self, wire: Wire) -> str:
        """Where a wire's values lie."""
        if wire.store in self._layout.places:
            return f"(s->work + {self._layout.places[wire.store]})"
        return f"s->{wire.store}_v"

    def _use(self, *names: str) -> None:
        self.used |= set(names)

    def _weighted(self, one: Operation, own: Own) -> list[str]:
        name, n = one.at.name, one.out.size
        lines = [f"value *y = {self.values(one.out)};"]
        if not self._whole and "bias" in own:
            lines += _loop(one.out, [f"y[i] = {name}_bias[{_channel(one.out)}];"])
        else:
            self._use("clear")
            lines.append(f"clear(y, {n});")
        call = self._add_linear if one.window is None else self._add_convolution
        lines += call(one, own)
        if self._whole:
            up, down = int(own["up"]), int(own["down"])
            scaled = f"y[i]{f' * {up}' if up > 1 else ''}{f' / {down}' if down > 1 else ''}"
            lines += _loop(one.out, [f"y[i] = {scaled} + {name}_bias[{_channel(one.out)}];"])
        return lines

    def _add_linear(self, one: Operation, own: Own) -> list[str]:
        name, source, n = one.at.name, one.sources[0], one.out.size
        if source.carrier == "events":
            self._use("add_rows")
            return [f"add_rows({name}_weight, s->{source.store}_at, s->{source.store}_n, {n}, y);"]
        self._use("add_scaled_rows")
        before = f", {int(own['before'])}" if self._whole else ""
        return [f"add_scaled_rows({name}_weight, {self.values(source)}, {source.size}, {n}, y{before});"]

    def _add_convolution(self, one: Operation, own: Own) -> list[str]:
        name, source = one.at.name, one.sources[0]
        assert one.window is not None
        lines = [_window(one.window)]
        if source.carrier == "events":
            self._use("window", "spread")
            call = f"spread(&g, {name}_weight, s->{source.store}_at[k], y);"
            return [*lines, f"for (uint32_t k = 0; k < s->{source.store}_n; k++) {{", f"    {call}", "}"]
        self._use("window", "spread_scaled")
        before = f" / {int(own['before'])}" if self._whole and int(own["before"]) > 1 else ""
        return [
            *lines,
            f"const value *x = {self.values(source)};",
            f"for (uint32_t k = 0; k < {source.size}; k++) {{",
            f"    const value a = x[k]{before};",
            "    if (a != 0) {",
            f"        spread_scaled(&g, {name}_weight, k, a, y);",
            "    }",
            "}",
        ]

    def _join(self, one: Operation, own: Own) -> list[str]:
        lines = [f"value *y = {self.values(one.out)};"]
        for number, (source, key) in enumerate(zip(one.sources, ("first", "second"), strict=True)):
            plain = not own or bool((own[key] == 1).all() and own["down"] == 1)
            gain = f"{one.at.name}_{key}[{_channel(one.out)}]"
            by = "" if int(own.get("down", np.array(1))) == 1 else f" / {int(own['down'])}"
            if source.carrier == "events":
                if number == 0:
                    self._use("clear")
                    lines.append(f"clear(y, {one.out.size});")
                lines += self._add_events(source, one, "1" if plain else f"(value)((int64_t){{gain}}{by})", key)
                continue
            term = "x[i]" if plain else f"(value)((int64_t)x[i] * {gain}{by})"
            body = _loop(one.out, [f"y[i] {'+=' if number else '='} {term};"])
            lines += ["{", f"    const value *x = {self.values(source)};", *(f"    {line}" for line in body), "}"]
        return lines

    def _add_events(self, source: Wire, one: Operation, term: str, key: str) -> list[str]:
        at = f"s->{source.store}_at[k]"
        place = at if one.out.flat else f"{at} % {one.out.channels}"
        term = term.replace("{gain}", f"{one.at.name}_{key}[{place}]")
        return [f"for (uint32_t k = 0; k < s->{source.store}_n; k++) {{", f"    y[{at}] += {term};", "}"]

    def _relu(self, one: Operation) -> list[str]:
        return [
            f"const value *x = {self.values(one.sources[0])};",
            f"value *y = {self.values(one.out)};",
            f"for (uint32_t i = 0; i < {one.out.size}; i++) {{",
            "    y[i] = x[i] > 0 ? x[i] : 0;",
            "}",
        ]

    def _pool(self, one: Operation, own: Own) -> list[str]:
        source, largest = one.sources[0], isinstance(one.at.layer, MaxPool)
        assert one.window is not None
        self._use("window")
        lines = [_window(one.window)]
        if source.carrier == "values":
            self._use("pool")
            lines += [f"value *y = {self.values(one.out)};", f"pool(&g, {self.values(source)}, {int(largest)}, y);"]
        else:
            self._use("pool_event", "clear")
            place = self._layout.places[scratch(one) if largest else one.at.name]
            lines += [
                f"value *y = s->work + {place};",
                f"clear(y, {one.out.size});",
                f"for (uint32_t k = 0; k < s->{source.store}_n; k++) {{",
                f"    pool_event(&g, s->{source.store}_at[k], y);",
                "}",
            ]
            if largest:
                self._use("listed")
                lines.append(f"s->{one.at.name}_n = listed(y, {one.out.size}, s->{one.at.name}_at);")
        if isinstance(one.at.layer, AvgPool | GlobalAvgPool) and "divisor" in own:
            divide = f"y[i] /= {literal(own['divisor'])};"
            lines += [f"for (uint32_t i = 0; i < {one.out.size}; i++) {{", f"    {divide}", "}"]
        return lines

    def _neurons(self, one: Operation, own: Own) -> list[str]:
        layer, name = one.at.layer, one.at.name
        assert isinstance(layer, Neuron)
        lines = self._current(one)
        if "initial" in own:
            start = _loop(one.out, [f"s->{name}_v[i] = {self._own_value(one, own, 'initial', 'i')};"])
            lines += ["if (s->step == 0) {", *(f"    {line}" for line in start), "}"]
        if "recurrent" in own:
            lines += self._fed_back(one)
        if isinstance(layer.dynamics, ALIF):
            lines += self._adapt(one, own)
        delayed = getattr(layer.dynamics, "reset_delay", False)
        reset = getattr(layer.dynamics, "reset", "none")
        if not layer.spikes or not delayed or reset == "none":
            body = [*self._integrate(one, own, "const value"), *self._fire(one, own, None if delayed else reset)]
            return [*lines, *self._counted(one, _loop(one.out, body))]
        late = _loop(one.out, [*self._integrate(one, own, "const value"), f"s->{name}_v[i] = v;"])
        at = f"s->{name}_at[k]"
        what = f" -= {self._threshold(one, own, at)}" if reset == "subtract" else " = 0"
        late += [f"for (uint32_t k = 0; k < s->{name}_n; k++) {{", f"    s->{name}_v[{at}]{what};", "}"]
        body = [f"const value v = s->{name}_v[i];", *self._fire(one, own, None)]
        return [*lines, *late, *self._counted(one, _loop(one.out, body))]

    def _counted(self, one: Operation, loop: list[str]) -> list[str]:
        """Around the loop in which spikes are listed."""
        if not one.at.layer.spikes:
            return loop
        return ["uint32_t n = 0;", *loop, f"s->{one.at.name}_n = n;"]

    def _current(self, one: Operation) -> list[str]:
        source = one.sources[0]
        operations = self._layout.operations
        if not needs_memory(one, operations):
            kind = "value" if self._is_recurrent(one) else "const value"
            return [f"{kind} *current = {self.values(source)};"]
        lines = [f"value *current = s->work + {self._layout.places[scratch(one)]};"]
        if source.carrier == "events":
            self._use("set_spikes", "clear")
            return [*lines, f"set_spikes(s->{source.store}_at, s->{source.store}_n, {source.size}, current);"]
        copy = f"    current[i] = {self.values(source)}[i];"
        return [*lines, f"for (uint32_t i = 0; i < {source.size}; i++) {{", copy, "}"]

    def _is_recurrent(self, one: Operation) -> bool:
        return isinstance(one.at.layer, Neuron) and one.at.layer.recurrent

    def _fed_back(self, one: Operation) -> list[str]:
        name, n = one.at.name, one.out.size
        lines = []
        gain = int(self._quantities.own[name].get("gain", np.int32(1)))
        if gain > 1:
            lines += [f"for (uint32_t i = 0; i < {n}; i++) {{", f"    current[i] *= {gain};", "}"]
        spikes = f"s->{name}_at, s->{name}_n, {n}"
        if not self._whole:
            self._use("add_rows")
            return [*lines, f"add_rows({name}_recurrent, {spikes}, current);"]
        self._use("add_gained_rows")
        return [*lines, f"add_gained_rows({name}_recurrent, {spikes}, {name}_recurrent_gain, current);"]

    def _adapt(self, one: Operation, own: Own) -> list[str]:
        name, at = one.at.name, f"s->{one.at.name}_at[k]"
        rise = self._own_value(one, own, "adaptation", at) if self._whole else "1"
        kept = self._decayed(one, own, "adaptation_decay", f"s->{name}_a[i]")
        return [
            *_loop(one.out, [f"s->{name}_a[i] = {kept};"]),
            f"for (uint32_t k = 0; k < s->{name}_n; k++) {{",
            f"    s->{name}_a[{at}] += {rise};",
            "}",
        ]

    def _integrate(self, one: Operation, own: Own, kind: str) -> list[str]:
        """The membrane `v` that meets the threshold."""
        name, layer = one.at.name, one.at.layer
        gain = int(own.get("gain", np.int32(1)))
        current = "current[i]" if gain == 1 or "recurrent" in own else f"current[i] * {gain}"
        lines = []
        if isinstance(layer, Neuron) and isinstance(layer.dynamics, CubaLIF):
            kept = self._decayed(one, own, "alpha", f"s->{name}_i[i]")
            lines += [f"const value kept = {kept};", f"const value arriving = kept + {current};",
                      f"s->{name}_i[i] = arriving;"]  # fmt: skip
            current = "arriving"
        lines += [
            f"const value left = {self._decayed(one, own, 'beta', f's->{name}_v[i]')};",
            f"{kind} v = left + {current};",
        ]
        return lines

    def _fire(self, one: Operation, own: Own, reset: str | None) -> list[str]:
        """List the spikes of `v`; None is a reset that belongs to the next step."""
        name, spiking = one.at.name, one.at.layer.spikes
        last = name == self._layout.out.name
        if not spiking:
            return [*(self._see("i") if last else []), f"s->{name}_v[i] = v;"]
        lines = list(self._see("i")) if last else []
        limit = self._threshold(one, own, "i")
        lines += self._limit(one, own, limit)
        base = {"subtract": f"v - {limit}", "zero": "0"}.get(reset or "", "v")
        counted = ["    s->count[i]++;"] if last and isinstance(self._layout.graph.readout, SpikeCount) else []
        return [
            *lines,
            "if (v > limit) {",
            f"    s->{name}_at[n++] = (index_t)i;",
            *counted,
            f"    s->{name}_v[i] = {base};",
            "} else {",
            f"    s->{name}_v[i] = v;",
            "}",
        ]

    def _limit(self, one: Operation, own: Own, base: str) -> list[str]:
        if "adaptation" not in own:
            return [f"const value limit = {base};"]
        a = f"s->{one.at.name}_a[i]"
        if self._whole:
            return [f"const value limit = {base} + {a};"]
        rise = self._own_value(one, own, "adaptation", "i")
        return [f"const value raised = {rise} * {a};", f"const value limit = {base} + raised;"]

    def _threshold(self, one: Operation, own: Own, index: str) -> str:
        return self._own_value(one, own, "threshold", index)

    def _own_value(self, one: Operation, own: Own, key: str, index: str) -> str:
        """A parameter of the neuron with this index: a number, or an entry of a table."""
        if not own[key].ndim:
            return literal(own[key])
        if index == "i":
            return f"{one.at.name}_{key}[{_channel(one.out)}]"
        return f"{one.at.name}_{key}[{index if one.out.flat else f'{index} % {one.out.channels}'}]"

    def _decayed(self, one: Operation, own: Own, key: str, what: str) -> str:
        decay = self._own_value(one, own, key, "i")
        if not self._whole:
            return f"{decay} * {what}"
        if not own[key].ndim and int(own[key]) == ONE:
            return what
        self._use("decayed")
        return f"decayed({what}, {decay})"

    def _see(self, i: str) -> list[str]:
        """What the readout keeps of the membrane `v` of an output."""
        readout = self._layout.graph.readout
        lines = [f"s->sum[{i}] += v;"]
        match readout:
            case MaxMembrane():
                lines += [f"if (s->step == 0 || v > s->seen[{i}]) {{", f"    s->seen[{i}] = v;", "}"]
            case LastMembrane():
                lines.append(f"s->seen[{i}] = v;")
            case FilteredSum():
                lines += self._filtered(i)
        return lines

    def _filtered(self, i: str) -> list[str]:
        if not self._whole:
            decay = literal(np.float32(self._layout.graph.readout.decay))  # type: ignore[union-attr]  # a filtered sum
            return [f"s->seen[{i}] = {decay} * s->seen[{i}];", f"s->seen[{i}] += v;"]
        self._use("decayed")
        whole = int(self._quantities.own["readout"]["decay"])
        return [f"s->seen[{i}] = decayed(s->seen[{i}], {whole}) + v;"]


def _loop(wire: Wire, body: list[str]) -> list[str]:
    """Over all units; `c` is the channel where a map has several places."""
    inner = [f"    {line}" for line in body]
    if wire.flat or not any("[c]" in line for line in body):
        return [f"for (uint32_t i = 0; i < {wire.size}; i++) {{", *inner, "}"]
    step = f"c = c + 1 == {wire.channels} ? 0 : c + 1"
    return [f"for (uint32_t i = 0, c = 0; i < {wire.size}; i++, {step}) {{", *inner, "}"]


def _channel(wire: Wire) -> str:
    return "i" if wire.flat else "c"


def _window(window: Window) -> str:
    numbers: list[Any] = [*window.source, *window.target, *window.size, *window.stride, *window.padding,
                          *window.dilation, window.groups]  # fmt: skip
    return f"static const window g = {{{', '.join(map(str, numbers))}}};"


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
