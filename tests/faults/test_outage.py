"""The database away for long, under taps that come at a fixed rate, whether or not they are answered."""

import functools
import json
import os
import subprocess
import time

from support import REPOSITORY, wait_until

RATE, CONNECTIONS = 2000, 200
SECONDS = 60 if int(os.environ.get("POSTBACK_FAULT_SEEDS", "1")) >= 20 else 10
TAPS = RATE * SECONDS
GENERATOR = REPOSITORY / "target/release/examples/open_loop"


def start_load(machine, codes):
    if not GENERATOR.exists():
        build = ["cargo", "build", "--release", "--quiet", "--package", "postback-proxy", "--examples"]
        subprocess.run(build, check=True, cwd=REPOSITORY)
    command = [GENERATOR, machine.proxy.listen, codes, *map(str, (RATE, SECONDS, CONNECTIONS))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_database_stopped_under_load(start_machine, tmp_path, remark):
    # So many that most taps are of a link that nobody has tapped before.
    machine = start_machine(subscribers=TAPS * 3 // 2)
    codes, count = tmp_path / "codes", "SELECT count(*) FROM postback.clicks"
    codes.write_text("\n".join(machine.campaign.codes.values()))
    spooled = functools.partial(machine.proxy.metric, "spooled_total")
    with start_load(machine, codes) as load:
        with machine.connect() as database:
            wait_until(lambda: database.execute(count).fetchone()[0] > TAPS / 6, "the load is running", seconds=SECONDS)
        stopped_at = time.monotonic()
        machine.cluster.stop()
        wait_until(lambda: spooled() > TAPS * 2 / 3 or load.poll() is not None, "most are spooled", seconds=2 * SECONDS)
        machine.cluster.start()
        back_at = time.monotonic()
        seen = json.load(load.stdout)
    wait_until(machine.is_well, "the spool is empty", seconds=60 - (time.monotonic() - back_at))
    stored_after = time.monotonic() - back_at
    remark(
        f"{back_at - stopped_at:.0f} s without the database in {SECONDS} s of {RATE} taps/s: p99 {seen['p99_ms']:.0f} ms, "
        f"p999 {seen['p999_ms']:.0f} ms, all {seen['answers']} stored {stored_after:.1f} s after it was back"
    )
    assert seen["bad_answers"] == 0
    with machine.connect() as database:
        assert database.execute(count).fetchone()[0] == seen["answers"]
        assert database.execute("SELECT count(DISTINCT link_id) FROM postback.clicks").fetchone()[0] > TAPS / 2, "hardly a link was new"
    assert spooled() > TAPS / 3, "the database was hardly away: the fault tested nothing"
