import pytest

from napari_unsupseg.regions.compiling import translate_interrupts


@pytest.mark.parametrize(
    ("cause", "expected"), [(KeyboardInterrupt(), KeyboardInterrupt), (ValueError(), SystemError)]
)
def test_only_an_interrupt_takes_the_place_of_an_error(cause, expected):
    with pytest.raises(expected), translate_interrupts():
        raise SystemError("returned a result with an exception set") from cause
