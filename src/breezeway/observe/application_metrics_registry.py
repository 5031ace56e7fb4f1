"""A registry of prometheus_client that tells of all workers; imported when there is prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from breezeway.observe.application_metrics_families import merge
from breezeway.observe.application_metrics_memory import Regions


class SharedRegistry(CollectorRegistry):
    """Collects the metrics of all workers, and of this one what cannot be shared.

    That is what is registered here and has no values: Info, Enum, collectors of the application's own.
    """

    def __init__(self, regions: Regions) -> None:
        super().__init__(auto_describe=True)
        self._regions = regions

    def collect(self) -> Iterator[Metric]:
        """Return all metrics, those of the workers as they are at one moment."""
        names = set()
        for family in merge(self._regions.read()):
            metric = Metric(family.name, family.help, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            names.add(metric.name)
            yield metric
        for own in super().collect():
            if own.name not in names:
                yield own

    def restricted_registry(self, names: Iterable[str]) -> Restricted:  # type: ignore[override]
        """Return what collects these samples alone."""
        return Restricted(self, frozenset(names))


class Restricted:
    """Some samples of a registry, as a scrape chooses them with `name[]`."""

    def __init__(self, registry: SharedRegistry, names: frozenset[str]) -> None:
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Return those metrics of which there are samples."""
        for metric in self._registry.collect():
            metric.samples = [each for each in metric.samples if each.name in self._names]
            if metric.samples:
                yield metric


def registered() -> list[str]:
    """Name the metrics of the default registry, without the library's own."""
    collectors = list(REGISTRY._collector_to_names)
    return [each._name for each in collectors if isinstance(each, MetricWrapperBase)]
