"""The last minutes, a sample for each second."""

import json

from breezeway.admin.history import ROWS, SAMPLES, SHAPE, History

from ..observe.statuses import metrics, status


def test_samples():
    """What comes between two statuses is a sample: counts, rows of the heat map, quantiles."""
    history = History()
    assert history.add(status(uptime=10.0, metrics=metrics(0.001))) is None
    sample = history.add(status(uptime=11.0, metrics=metrics(0.001, 0.25, 0.25, 0.26)))
    assert sample["n"] == {"2xx": 3}
    assert sample["s"] == 1.0
    row = (-2 - SHAPE["least_power"]) * ROWS
    assert sample["d"] == [(row, 3)]
    assert [round(each, 1) for each in sample["q"]] == [0.3, 0.3, 0.3]
    assert history.samples() == [sample]
    assert len(json.dumps(sample)) < 250


def test_quiet():
    """When nothing comes there are no quantiles."""
    history = History()
    for second in range(3):
        history.add(status(uptime=float(second), metrics=metrics()))
    assert history.samples()[-1]["q"] is None
    assert history.recent() == {"latency": None, "queue": None, "seconds": 2.0}


def test_is_bounded():
    """Ten minutes are kept."""
    history = History()
    for second in range(SAMPLES + 5):
        history.add(status(uptime=float(second), metrics=metrics()))
    assert len(history.samples()) == SAMPLES
