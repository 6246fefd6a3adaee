"""The objects of a fake Kubernetes, and the selectors by which they are listed."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def now() -> str:
    """The time as Kubernetes notes it: in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """What the API server keeps; each answer is a copy."""

    def __init__(self) -> None:
        self.version = 0
        self.changed = threading.Condition(threading.RLock())
        self._kept: dict[tuple[str, str, str], Json] = {}

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        with self.changed:
            return copy.deepcopy(self._kept.get((kind, namespace, name)))

    def all(self, kind: str) -> list[Json]:
        with self.changed:
            return [copy.deepcopy(item) for key, item in self._kept.items() if key[0] == kind]

    def put(self, item: Json) -> Json:
        with self.changed:
            self.version += 1
            metadata = item["metadata"]
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata["resourceVersion"] = str(self.version)
            self._kept[_key(item)] = copy.deepcopy(item)
            self.changed.notify_all()
            return item

    def patch(self, item: Json, changes: Json) -> Json:
        """Lay *changes* over what is kept, as a merge patch does."""
        with self.changed:
            kept = self._kept.get(_key(item))
            return self.put(_merged(kept, changes)) if kept else item

    def remove(self, item: Json) -> None:
        """Remove an object, and what belongs to it."""
        with self.changed:
            self._kept.pop(_key(item), None)
            owned = [
                other
                for other in self._kept.values()
                if item["metadata"]["uid"]
                in {ref["uid"] for ref in other["metadata"].get("ownerReferences", ())}
            ]
            for other in owned:
                self.remove(other)
            self.changed.notify_all()

    def event(
        self, item: Json, reason: str, message: str, *, warning: bool = False, container: str = ""
    ) -> None:
        """Note an event about an object."""
        metadata = item["metadata"]
        involved = {"kind": item["kind"], "name": metadata["name"], "uid": metadata["uid"]}
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        self.put(
            {
                "kind": "Event",
                "metadata": {
                    "name": f"{metadata['name']}.{uuid.uuid4().hex[:12]}",
                    "namespace": metadata["namespace"],
                    "creationTimestamp": now(),
                },
                "involvedObject": involved | {"namespace": metadata["namespace"]},
                "type": "Warning" if warning else "Normal",
                "reason": reason,
                "message": message,
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "count": 1,
            }
        )


def matches(item: Json, namespace: str | None, query: Mapping[str, str]) -> bool:
    """Whether an object is in a list, by namespace and selectors."""
    if namespace is not None and item["metadata"].get("namespace") != namespace:
        return False
    fields = query.get("fieldSelector", "")
    if (
        fields.startswith("involvedObject.name=")
        and item["involvedObject"]["name"] != fields.partition("=")[2]
    ):
        return False
    labels = item["metadata"].get("labels") or {}
    return all(_selected(labels, term) for term in query.get("labelSelector", "").split(",") if term)


def _selected(labels: Mapping[str, str], term: str) -> bool:
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key) != value
    if term.startswith("!"):
        return term[1:] not in labels
    key, _, value = term.replace("==", "=").partition("=")
    return labels.get(key) == value


def _key(item: Json) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _merged(kept: Any, changes: Any) -> Any:
    if not isinstance(changes, dict) or not isinstance(kept, dict):
        return changes
    return kept | {key: _merged(kept.get(key), value) for key, value in changes.items()}
