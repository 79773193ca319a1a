"""PyVRP on a Solomon file, with our objective: a vehicle costs more than any distance. Prints {"version", "routes"} (customer numbers)."""

import json
import math
import sys
from importlib.metadata import version

import pyvrp
from pyvrp.stop import MaxRuntime

SCALE = 10_000  # PyVRP counts in whole numbers


def main(path, seconds, seed):
    rows = [line.split() for line in open(path)]
    numbers = [[float(word) for word in row] for row in rows if row and all(w.replace(".", "", 1).isdigit() for w in row)]
    fleet, capacity = next(row for row in numbers if len(row) == 2)
    table = [row for row in numbers if len(row) == 7]
    model = pyvrp.Model()
    places = [model.add_location(row[1] * SCALE, row[2] * SCALE) for row in table]
    due = round(table[0][5] * SCALE)
    depot = model.add_depot(places[0])
    for place, row in zip(places[1:], table[1:]):
        model.add_client(
            place,
            delivery=round(row[3]),
            service_duration=round(row[6] * SCALE),
            tw_early=round(row[4] * SCALE),
            tw_late=round(row[5] * SCALE),
        )
    model.add_vehicle_type(int(fleet), round(capacity), depot, depot, fixed_cost=100_000 * SCALE, tw_late=due)
    for a, here in zip(places, table):
        for b, there in zip(places, table):
            # Rounded up, so that what is in time for PyVRP is in time for real-valued distances.
            length = math.ceil(math.dist(here[1:3], there[1:3]) * SCALE)
            model.add_edge(a, b, length, length)
    result = model.solve(MaxRuntime(seconds), seed=seed, display=False)
    ids = [int(row[0]) for row in table]
    routes = [[ids[visit] for visit in visits(route)] for route in result.best.routes()]
    print(json.dumps({"version": version("pyvrp"), "feasible": result.is_feasible(), "routes": routes}))


def visits(route):
    return [activity.idx + 1 for activity in route if activity.is_client()]


main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
