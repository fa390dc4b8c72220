"""A process that appends to the audit log is killed at random moments: nothing that it was told is written is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from audit_scene import open_log

from privacy.merkle import verify_consistency

ROUNDS = 15
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from audit_scene import open_log
from privacy.audit import EventType
log = open_log(Path(sys.argv[2]))
for number in range(1_000_000):
    event = log.append(EventType.MATCH_RUN, actor="node", numbers={"rows": number})
    sys.stdout.write(f"event {event.seq} {event.leaf().hex()}\\n")
    if number % 5 == 4:
        made = log.checkpoint()
        sys.stdout.write(f"checkpoint {made.size} {made.root.hex()}\\n")
    sys.stdout.flush()
"""


def spawn(folder):
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1]), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_what_was_acknowledged_survives_kills(tmp_path):
    folder = tmp_path / "audit"
    chance = random.Random(5)
    events, checkpoints = {}, {}
    for _ in range(ROUNDS):
        children = [spawn(folder) for _ in range(2)]  # two writers: one is killed while the other may wait
        first = [child.stdout.readline() for child in children]
        time.sleep(chance.uniform(0, 0.15))
        for child in chance.sample(children, 2):
            child.send_signal(signal.SIGKILL)
        for child, line in zip(children, first, strict=True):
            told = (line + child.communicate()[0]).splitlines(keepends=True)
            assert child.returncode == -signal.SIGKILL
            for kind, number, digest in (line.split() for line in told if line.endswith("\n")):
                (events if kind == "event" else checkpoints)[int(number)] = bytes.fromhex(digest)
        log = open_log(folder)  # raises if any event or checkpoint is not what was written
        assert all(log.leaf(seq) == leaf for seq, leaf in events.items())
        kept = {made.size: made.root for made, _ in log.checkpoints()}
        assert checkpoints.items() <= kept.items()
        for size, root in kept.items():
            verify_consistency(size, log.size, root, log.root, log.consistency(size))
    assert len(events) > 2 * ROUNDS
    assert len(checkpoints) >= 1
    assert [event.seq for event in log.events()] == list(range(log.size))
