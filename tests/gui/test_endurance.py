import gc

import numpy as np
import psutil
import torch

from .conftest import WAIT, click, wait_until_ready

CYCLES = 50
MEASURED_EVERY = 10
MEGABYTES = 2  # of so many runs


def tensor_bytes() -> int:
    """Return what the largest tensor takes that anybody still holds."""
    gc.collect()
    tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor]
    return max((tensor.nbytes for tensor in tensors), default=0)


def test_memory_stays_flat_over_many_runs(viewer, panel, qtbot, grey):
    viewer.add_image(grey)
    panel.settings["iterations"].value = 100_000
    process, taken = psutil.Process(), []
    button = panel.run_button
    for cycle in range(1, CYCLES + 1):
        click(qtbot, button)
        qtbot.waitUntil(lambda: panel.progress.value >= 2, timeout=WAIT)
        click(qtbot, panel.stop_button)
        wait_until_ready(qtbot, panel)
        button = panel.start_over_button  # in the same layer: napari keeps some of each it removes
        if cycle % MEASURED_EVERY == 0:
            gc.collect()
            taken.append(process.memory_info().rss / 2**20)
    # what a run leaves behind is there after each; what the allocator keeps comes in leaps
    assert np.diff(taken).min() < MEGABYTES, taken


def test_a_run_that_has_ended_holds_what_continue_needs(viewer, panel, qtbot, rgb):
    image = np.tile(rgb, (4, 4, 1))
    viewer.add_image(image)
    panel.settings["settle"].value = 0.02
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    n_pixels = image[..., 0].size
    # clusters and vote of the last iteration, beside the network
    assert tensor_bytes() <= 8 * n_pixels
    click(qtbot, panel.continue_button)
    wait_until_ready(qtbot, panel)
    assert tensor_bytes() <= 8 * n_pixels


def test_out_of_memory_gives_memory_back(viewer, panel, qtbot, rgb, notes, monkeypatch):
    image = np.tile(rgb, (4, 4, 1))
    viewer.add_image(image)
    before = tensor_bytes()

    def fail(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", fail)
        click(qtbot, panel.run_button)
        wait_until_ready(qtbot, panel)
    assert "out of memory" in panel.status.value
    assert any(word in panel.status.value for word in ("crop", "smaller", "filters"))
    gc.collect()
    assert tensor_bytes() <= max(before, 4 * 3 * image[..., 0].size)
    click(qtbot, panel.run_button)
    wait_until_ready(qtbot, panel)
    assert viewer.layers[-1].data.all()
