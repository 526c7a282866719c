"""Which tests go to the same worker: those of a module that share what it started or filled.

`--dist loadgroup` of xdist would do it by a mark. It appends the group to the id of a test, in a
way that pytest 9.2 takes no notice of: then every worker starts everything.
"""

from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: Their modules, or they themselves, are not divided.
SHARING = {
    "tests/embedded",
    "tests/repository/test_plans.py",
    "tests/server",
}


class Scheduling(LoadScopeScheduling):
    """Every test by itself, but for modules that are not divided; the largest of these first."""

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        super().mark_test_complete(node, item_index, duration)
        # Else all that was ever assigned is counted again after each test.
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        is_whole = not SHARING.isdisjoint({module, str(PurePosixPath(module).parent)})
        return module if is_whole else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)
