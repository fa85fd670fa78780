"""What the tests ask the system about other processes; they need /proc."""


def children_of(process):
    """Lists the processes that a process has started, by their ids."""
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def is_running(process):
    """Tells whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
