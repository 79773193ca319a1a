"""OR-Tools' CP-SAT on an instance of `uoop solve channels`: one thread, one deadline. Prints one JSON object."""

import json
import sys
import time

from ortools import __version__
from ortools.sat.python import cp_model

with open(sys.argv[1], encoding="utf-8") as file:
    instance = json.load(file)
deadline_ms = float(sys.argv[2])

started = time.perf_counter()
model = cp_model.CpModel()
unserved = instance["unservedCost"]
loads = [[[] for _ in instance["resources"]] for _ in instance["channels"]]
saved = []
for order in instance["orders"]:
    ways = []
    for channel, cost in enumerate(order["cost"]):
        if cost is None:
            continue
        way = model.new_bool_var("")
        ways.append(way)
        saved.append((way, cost - unserved))
        for resource, units in enumerate(order["units"]):
            if units:
                loads[channel][resource].append((way, units))
    model.add_at_most_one(ways)
for channel, by_resource in zip(instance["channels"], loads):
    for most, terms in zip(channel["capacity"], by_resource):
        model.add(sum(way * units for way, units in terms) <= most)
model.minimize(sum(way * cost for way, cost in saved))
solver = cp_model.CpSolver()
solver.parameters.num_workers = 1
solver.parameters.max_time_in_seconds = max(0.001, deadline_ms / 1000 - (time.perf_counter() - started))
status = solver.solve(model)
found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
base = unserved * len(instance["orders"])
print(json.dumps({
    "version": __version__,
    "objective": solver.objective_value + base if found else None,
    "ms": (time.perf_counter() - started) * 1000,
}))
