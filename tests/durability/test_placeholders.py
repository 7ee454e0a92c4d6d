"""Which names a name with placeholders may become."""

import pytest
from durable_checkpoint import placeholders

pytestmark = pytest.mark.one_backend  # no model

# Name given to a callback, or shell pattern -> (names that it means, names that it does not).
NAMES = {
    "{epoch}.keras": (("1.keras", "10000.keras"), ("final.keras", "1.h5", ".keras", "v2.keras")),
    "m-{epoch:02d}-{batch:d}.keras": (("m-01-7.keras", "m-123-45.keras"), ("m-old-7.keras",)),
    "m-{epoch:>4}.keras": (("m-   1.keras", "m-1000.keras"), ("n-1.keras",)),
    "m-{val_loss:.2f}.keras": (("m-0.25.keras", "m-nan.keras", "m--1.50.keras"), ("m.keras",)),
    "a.keras": (("a.keras",), ("abkeras", "xa.keras")),
    "{{{epoch}}}.keras": (("{3}.keras",), ("3.keras", "{a}.keras")),
    "un{closed.keras": (("un{closed.keras",), ("unclosed.keras",)),
}
SHELL = {
    "*.keras": (("a.keras", "b c.keras"), ("a.h5",)),
    "run-[12]-{epoch}.keras": (("run-1-5.keras",), ("run-3-5.keras", "run-1-a.keras")),
    "m-?.keras": (("m-a.keras", "m-?.keras"), ("m-ab.keras",)),
    "[a].keras": (("a.keras", "[a].keras"), ("b.keras",)),
}


@pytest.mark.parametrize("template", NAMES)
def test_a_template_means_the_names_it_may_become(template):
    mine, others = NAMES[template]
    assert all(placeholders.pattern(template).fullmatch(name) for name in mine)
    assert not any(placeholders.pattern(template).fullmatch(name) for name in others)


@pytest.mark.parametrize("template", {**NAMES, **SHELL})
def test_a_shell_pattern_may_stand_in_its_place(template):
    mine, others = {**NAMES, **SHELL}[template]
    assert all(placeholders.matches(name, template) for name in mine)
    assert not any(placeholders.matches(name, template) for name in others)
