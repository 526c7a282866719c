"""WfFormat (wfcommons.org) to workflow and back, on JSON values only; it reads no files.

An import loses nothing: the export of an imported document is the same JSON value. What a workflow
has no place for is in `metadata.wfformat` and in the `config` of the nodes.
"""

from collections import Counter
from typing import Any, NamedTuple

from orchestrator.documents.pointer import Place, shown_pointer
from orchestrator.documents.wording import shortened
from orchestrator.documents.workflow_graph import edges_of, nodes_of
from orchestrator.errors import InvalidInput

Document = dict[str, Any]

# The members that link a task to others, and whether they name these by id or, up to 1.4, by name.
LINKS = {"parents": "id", "children": "id"}
_NEW_DOCUMENT: Document = {"schemaVersion": "1.5", "workflow": {"specification": {}}}


class _Task(NamedTuple):
    """A task, where it is, and the id of its node."""

    id: str
    path: Place
    value: Document

    @property
    def name(self) -> str:
        name = self.value.get("name")
        return name if isinstance(name, str) else self.id


def is_wfformat(document: object) -> bool:
    """Whether there are tasks where WfFormat 1.5 or an older one has them."""
    return _tasks_in(document) is not None


def workflow_from_wfformat(document: Document) -> Document:
    """Tasks become nodes, their parents and children edges, and all else metadata."""
    tasks = _read_tasks(document)
    members = [name for name in LINKS if any(name in task.value for task in tasks)]
    links = {member: _link_kind(member, tasks) for member in members}
    edges = _edges(tasks, links)
    rebuilt = _rebuilt({task.id: task.name for task in tasks}, edges, links)
    rest = _with_tasks(document, None)
    metadata: Document = {"wfformat": rest}
    if isinstance(rest.get("name"), str):
        metadata["name"] = rest.pop("name")
    if links != LINKS:
        metadata["wfformat_links"] = links
    return {
        "metadata": metadata,
        "nodes": [_node(task, rebuilt[task.id]) for task in tasks],
        "edges": [{"from": source, "to": target} for source, target in edges],
    }


def wfformat_from_workflow(workflow: Document) -> Document:
    """The document that was imported, with the present nodes and edges. No command calls this: it
    is the inverse by which tests show that an import loses nothing.

    For any other workflow it contains what WfFormat has a place for: ids, names and configuration
    of the nodes, and the edges without conditions.
    """
    metadata = workflow.get("metadata", {})
    rest, links = metadata.get("wfformat"), metadata.get("wfformat_links", LINKS)
    is_import = _holder(rest) is not None and isinstance(links, dict)
    nodes = nodes_of(workflow)
    if not is_import:
        rest, links = _NEW_DOCUMENT, LINKS
        nodes = [node._replace(value={"name": node.id, **node.value}) for node in nodes]
    names = {node.id: node.value.get("name", node.id) for node in nodes}
    edges = list(dict.fromkeys((edge.source, edge.target) for edge in edges_of(workflow)))
    rebuilt = _rebuilt(names, edges, links)
    document = _with_tasks(rest, [_task(node.id, node.value, rebuilt[node.id]) for node in nodes])
    return document | ({"name": metadata["name"]} if "name" in metadata else {})


def _holder(document: object) -> Document | None:
    """The object that has the tasks: the specification since 1.5, before that the workflow."""
    workflow = document.get("workflow") if isinstance(document, dict) else None
    holder = workflow.get("specification", workflow) if isinstance(workflow, dict) else None
    return holder if isinstance(holder, dict) else None


def _tasks_in(document: object) -> list[Any] | None:
    tasks = (_holder(document) or {}).get("tasks")
    return tasks if isinstance(tasks, list) else None


def _with_tasks(document: Document, tasks: list[Document] | None) -> Document:
    """A copy that has these tasks, or none, where it keeps them."""
    workflow = document["workflow"]
    holder = {**workflow.get("specification", workflow)}
    holder.pop("tasks", None)
    if tasks is not None:
        holder["tasks"] = tasks
    if "specification" in workflow:
        holder = {**workflow, "specification": holder}
    return {**document, "workflow": holder}


def _read_tasks(document: Document) -> list[_Task]:
    values = _tasks_in(document)
    if values is None:
        message = "This is not WfFormat: it has no list of tasks under workflow."
        raise InvalidInput.at("", "not-wfformat", message)
    is_new = "specification" in document["workflow"]
    path: Place = ("workflow", "specification", "tasks") if is_new else ("workflow", "tasks")
    tasks: dict[str, _Task] = {}
    for position, value in enumerate(values):
        task = _read_task((*path, position), value, is_name_enough=not is_new)
        if task.id in tasks:
            message = f"The task id {shortened(task.id)} is taken twice."
            raise InvalidInput.at(shown_pointer((*task.path, "id")), "duplicate-task", message)
        tasks[task.id] = task
    return list(tasks.values())


def _read_task(path: Place, value: Any, *, is_name_enough: bool) -> _Task:
    if not isinstance(value, dict):
        raise InvalidInput.at(shown_pointer(path), "type", "A task must be an object.")
    task_id = value.get("id", value.get("name") if is_name_enough else None)
    if not isinstance(task_id, str):
        message = "A task needs an id, which is text."
        raise InvalidInput.at(shown_pointer(path), "task-id", message)
    for member in LINKS:
        names = value.get(member, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            message = f"The {member} of task {shortened(task_id)} must be a list of ids."
            raise InvalidInput.at(shown_pointer((*path, member)), "type", message)
    return _Task(task_id, path, value)


def _link_kind(member: str, tasks: list[_Task]) -> str:
    named = {name for task in tasks for name in task.value.get(member, [])}
    is_by_id = named <= {task.id for task in tasks}
    return "id" if is_by_id or not named <= _ids_by_name(tasks).keys() else "name"


def _ids_by_name(tasks: list[_Task]) -> dict[str, str]:
    """Ids by the names that only one task has."""
    counts = Counter(task.name for task in tasks)
    return {task.name: task.id for task in tasks if counts[task.name] == 1}


def _edges(tasks: list[_Task], links: dict[str, str]) -> list[tuple[str, str]]:
    """Parents come first, in their order, so that their lists can be rebuilt from the edges."""
    edges: dict[tuple[str, str], None] = {}
    for member, kind in links.items():
        ids = _ids_by_name(tasks) if kind == "name" else {task.id: task.id for task in tasks}
        for task in tasks:
            for position, name in enumerate(task.value.get(member, [])):
                if name not in ids:
                    where = shown_pointer((*task.path, member, position))
                    message = f"Task {shortened(task.id)} names {shortened(name)}: no such task."
                    raise InvalidInput.at(where, "missing-task", message)
                ends = (ids[name], task.id)
                edges[ends if member == "parents" else ends[::-1]] = None
    return list(edges)


def _rebuilt(
    names: dict[str, str], edges: list[tuple[str, str]], links: dict[str, str]
) -> dict[str, dict[str, list[str]]]:
    """The parents and children of each task, from the edges."""
    lists: dict[str, dict[str, list[str]]] = {
        task_id: {member: [] for member in links} for task_id in names
    }
    for source, target in edges:
        for member, task_id, other in (("parents", target, source), ("children", source, target)):
            if member in links:
                spelled = names[other] if links[member] == "name" else other
                lists[task_id][member].append(spelled)
    return lists


def _node(task: _Task, rebuilt: dict[str, list[str]]) -> Document:
    """The config has what is said nowhere else; a null in it is a member that the task lacks."""
    config = {
        key: value
        for key, value in task.value.items()
        if key != "id" and (key not in rebuilt or rebuilt[key] != value)
    }
    config |= {key: None for key in ("id", *rebuilt) if key not in task.value}
    node: Document = {"id": task.id, "type": "task", "config": config}
    if isinstance(config.get("name"), str):
        node["name"] = config.pop("name")
    return node


def _task(node_id: str, node: Document, rebuilt: dict[str, list[str]]) -> Document:
    config = node.get("config", {})
    task = {"id": node_id, **rebuilt, **config}
    if "name" in node:
        task["name"] = node["name"]
    if task["id"] is not None:
        task["id"] = node_id
    lacking = [key for key in ("id", *rebuilt) if task[key] is None]
    return {key: value for key, value in task.items() if key not in lacking}
