"""Native OR-Tools CP-SAT on a generalised assignment problem, one thread: cp-sat.py <file> <seconds> <seed>. Prints one JSON object."""
import json
import sys
import time

from ortools.sat.python import cp_model

started = time.monotonic()
path, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
numbers = [int(word) for word in open(path).read().split()]
agents, jobs = numbers[:2]
cost = [numbers[2 + i * jobs :][:jobs] for i in range(agents)]
use = [numbers[2 + (agents + i) * jobs :][:jobs] for i in range(agents)]
capacity = numbers[2 + 2 * agents * jobs :][:agents]

model = cp_model.CpModel()
x = [[model.new_bool_var("") for _ in range(jobs)] for _ in range(agents)]
for j in range(jobs):
    model.add_exactly_one(x[i][j] for i in range(agents))
for i in range(agents):
    model.add(sum(use[i][j] * x[i][j] for j in range(jobs)) <= capacity[i])
model.minimize(sum(cost[i][j] * x[i][j] for i in range(agents) for j in range(jobs)))

solver = cp_model.CpSolver()
solver.parameters.num_workers = 1
solver.parameters.random_seed = seed
solver.parameters.max_time_in_seconds = max(0.01, seconds - (time.monotonic() - started))
status = solver.solve(model)
found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
print(
    json.dumps(
        {
            "objective": round(solver.objective_value) if found else None,
            "bound": solver.best_objective_bound,
            "status": solver.status_name(status).lower(),
            "ms": round((time.monotonic() - started) * 1000),
        }
    )
)
