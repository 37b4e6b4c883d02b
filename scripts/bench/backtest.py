"""Measures a backtest beside DuckDB; scripts/bench/backtest runs it and says what it does.

usage: backtest.py BINARY FOLDER MEASUREMENTS ROUNDS
"""

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import duckdb

SITES, NETWORKS, TARGETS = 25, 25, ["origin", "cdn-a", "cdn-b", "cdn-c"]
KEYS = SITES * NETWORKS * len(TARGETS)
MEASUREMENTS_A_SECOND = 4_167
START_S = 1_767_225_600
THRESHOLD_US = 200_000

# A value of each row: over the rows of its key from 58 seconds before its own to the end of its own.
ROLLING = """
    CREATE OR REPLACE TABLE rolling AS
    SELECT site, network, target, second,
           quantile_disc(response_time_us, 0.95) OVER (
               PARTITION BY site, network, target ORDER BY second RANGE BETWEEN 58 PRECEDING AND CURRENT ROW
           ) AS value_us
    FROM (
        SELECT site, network, target, floor("at")::BIGINT AS second, (response_time_ms * 1000)::BIGINT AS response_time_us
        FROM read_csv(?, header = true, columns = {
            'at': 'DECIMAL(16, 6)', agent: 'VARCHAR', network: 'VARCHAR', target: 'VARCHAR', site: 'VARCHAR',
            response_time_ms: 'DECIMAL(12, 3)'})
    )
"""


def csv(measurements):
    """The query of the rows, in the order of time.

    No row is of a whole second. So the rows of second S are all read by the tick of second S + 1, and the window of that
    tick is the 59 seconds up to S, and S + 1, of which nothing is read yet.
    """
    pairs = NETWORKS * len(TARGETS)
    return f"""
        SELECT printf('%d.%06d', at_us // 1000000, at_us % 1000000) AS at,
               printf('agent-%02d', key // {len(TARGETS)} % {NETWORKS}) AS agent,
               printf('carrier-%02d', key // {len(TARGETS)} % {NETWORKS}) AS network,
               ({TARGETS!r})[key % {len(TARGETS)} + 1] AS target,
               printf('site-%02d', key // {pairs}) AS site,
               printf('%.3f', time_us / 1000) AS response_time_ms
        FROM (
            SELECT {START_S * 1_000_000} + number * 1000000 // {MEASUREMENTS_A_SECOND} // 2 * 2 + 1 AS at_us,
                   (hash(number, 1) % {KEYS})::BIGINT AS key,
                   -- A base a key, and an exponential tail.
                   (15000 + hash(key, 2) % 100000) * (1 - 0.3 * ln((hash(number, 3) % 1000000 + 1) / 1000000)) AS time_us
            FROM range({measurements}) AS numbers(number)
        )
        ORDER BY at_us
    """


def main():
    binary, folder, measurements, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    rows, documents = folder / "rows.csv", folder / "site.yaml"
    documents.write_text(provisioning())
    if sys.argv[5:] == ["duckdb"]:
        roll(rows, None)
        return
    duckdb.sql(csv(measurements)).write_csv(str(rows))
    say(f"{measurements} rows of {KEYS} keys, {rows.stat().st_size / measurements:.1f} bytes each")
    spillway_ns, duckdb_ns = [], []
    for _ in range(rounds):
        decisions = folder / "decisions.json"
        with decisions.open("wb") as out:
            command = [binary, "backtest", "-f", documents, rows, "--format", "json", "--quiet", "--strict"]
            spillway_ns.append(cpu_ns(command, stdout=out) / measurements)
        # A process of its own, so that it finds nothing read or allocated.
        duckdb_ns.append(cpu_ns([sys.executable, *sys.argv, "duckdb"]) / measurements)
        say(f"ns a measurement: spillway {spillway_ns[-1]:.0f}, DuckDB {duckdb_ns[-1]:.0f}")
    compare(rows, decisions)
    print(f"spillway_ns={statistics.median(spillway_ns):.0f} duckdb_ns={statistics.median(duckdb_ns):.0f}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def provisioning():
    kinds = ["kind: client\nname: acme\n"]
    kinds += [f"kind: cdn\nname: {cdn}\ntype: operated\ndns_name: {cdn}.example\n" for cdn in TARGETS[1:]]
    for number in range(NETWORKS):
        network = f"carrier-{number:02}"
        kinds.append(f"kind: network\nname: {network}\nprefixes: [10.{number}.0.0/16]\n")
        kinds.append(f"kind: probe\nagent: agent-{number:02}\nnetwork: {network}\n")
    for number in range(SITES):
        kinds.append(
            f"kind: site\nname: site-{number:02}\nclient: acme\nhosts: [site-{number:02}.example]\n"
            f"cdns: [{', '.join(TARGETS[1:])}]\norigin: {{name: {TARGETS[0]}, addresses: [192.0.2.1]}}\n"
            f"objectives: [{{metric: response_time, threshold: {THRESHOLD_US // 1000}ms, percentile: 95, window: 60s, "
            "samples_min: 1, probes_min: 1}]\n"
        )
    return "---\n".join(kinds)


def cpu_ns(command, **kwargs):
    """User and system time of a command, which must succeed; what it says on standard error is shown if it does not."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, **kwargs)
    if done.returncode != 0:
        sys.exit(f"backtest: {done.args[0]} ended with status {done.returncode}:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e9


def roll(rows, connection):
    (connection or duckdb).execute(ROLLING, [str(rows)])


def bucket(value_us):
    """Rounded down to three significant digits."""
    scale = 10 ** max(0, len(str(value_us)) - 3)
    return value_us // scale * scale


def compare(rows, decisions):
    """Compares the origin's value in every decision with DuckDB's at a row of that second, where there is one."""
    connection = duckdb.connect()
    roll(rows, connection)
    found = connection.execute(
        f"SELECT DISTINCT site, network, second, value_us FROM rolling WHERE target = '{TARGETS[0]}'"
    ).fetchall()
    expected = {(site, network, second): bucket(value_us) for site, network, second, value_us in found}
    equal, without_row = 0, 0
    for decision in map(json.loads, decisions.open()):
        # The tick reads the second before it.
        second = decision["at_us"] // 1_000_000 - 1
        value = decision["objectives"][0]["value"]
        key = (decision["site"], decision["network"], second)
        if key not in expected:
            without_row += 1
        elif expected[key] != value:
            sys.exit(f"backtest: {key}: expected {expected[key]} µs, found {value} µs")
        else:
            equal += 1
    if equal == 0:
        sys.exit("backtest: no decision had a row in its second")
    say(f"the values of {equal} decisions equal; {without_row} decisions have no row in their second")


if __name__ == "__main__":
    main()
