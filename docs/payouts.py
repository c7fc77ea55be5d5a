#!/usr/bin/env python3
"""Computes every payment of exported reward epochs again, from their inputs alone.

    commonseal audit payouts --from ledger.archive --export epochs
    python3 docs/payouts.py epochs/*.json

Needs nothing but Python 3. Written from docs/rewards.md, not from the ledger's code.
Fixed-point numbers are integers: the number times 2^32, products rounded down."""
import collections, json, sys

ONE, TOP = 1 << 32, (1 << 64) - 1
WHAT = "operator evaluator peer provider debit owed".split()
div = lambda a, b: (a << 32) // b if b else 0  # nothing here is negative
norm = lambda xs: [div(x, sum(xs)) for x in xs] if sum(xs) else list(xs)
median = lambda of: max((v for v, _ in of if 2 * sum(s for w, s in of if w >= v) > sum(s for _, s in of)), default=0)

def split(pot, ids, weights):
    """Largest remainder, equal remainders by id."""
    total = sum(weights)
    if not total:
        return [0] * len(ids)
    out = [pot * w // total for w in weights]
    order = sorted(range(len(ids)), key=lambda i: (-(pot * weights[i] % total), ids[i], i))
    for i in order[:pot - sum(out)]:
        out[i] += 1
    return out

def capped(companies, cap):
    """Stakes of which no owner's is more than its part of what counts."""
    count, owners = [c["stake"] for c in companies], collections.defaultdict(list)
    for i, c in enumerate(companies):
        if c["stake"]:
            owners[c["owner"]].append(i)
    if not 0 < cap < ONE or not owners:
        return count
    held = sorted((sum(count[i] for i in rows) for rows in owners.values()), reverse=True)
    levels = [cap * sum(held[k:]) // (ONE - cap * k) for k in range(len(held)) if ONE > cap * k]
    level = next((l for l, most in zip(levels, held) if l >= most), held[-1])
    for rows in owners.values():
        if sum(count[i] for i in rows) > level:
            for i, units in zip(rows, split(level, [companies[i]["name"] for i in rows], [count[i] for i in rows])):
                count[i] = units
    return count

def columns(m):
    sums = [sum(col) for col in zip(*m)]
    return [[div(x, s) for x, s in zip(row, sums)] for row in m]

def rank(e, part):
    """Median consensus, clipping, bonds: what each company and model earns."""
    cs, ms, W = e["companies"], e["models"], []
    for c in cs:
        row = {w["model"]: w["part"] for w in c["weights"] or []}
        parts = [row.get(m["model"], 0) if m["owner"] != c["owner"] else 0 for m in ms]
        W.append([div(p, sum(parts)) for p in parts])
    S = capped(cs, part("cap"))
    A = norm([div(s, sum(S)) for s in S])
    C = [median(list(zip(col, S))) for col in zip(*W)] or [0] * len(ms)
    clipped = [[min(w, c) for w, c in zip(row, C)] for row in W]
    incentive = norm([sum(a * row[j] >> 32 for a, row in zip(A, clipped)) for j in range(len(ms))])
    beta, alpha = part("penalty"), part("smoothing")
    bought = [[c if beta == ONE else w + (beta * (c - w) >> 32) for w, c in zip(r, k)] for r, k in zip(W, clipped)]
    held = {(b["company"], b["model"]): b["value"] for b in e["bonds"] or []}
    new = columns([[x * a >> 32 for x in row] for row, a in zip(bought, A)])
    old = columns([[held.get((c["name"], m["model"]), 0) for m in ms] for c in cs])
    bonds = columns([[(alpha * x >> 32) + ((ONE - alpha) * y >> 32) for x, y in zip(r, s)] for r, s in zip(new, old)])
    for c, s, row, d in zip(cs, S, clipped, norm([sum(b * i >> 32 for b, i in zip(row, incentive)) for row in bonds])):
        c.update(counted=s, trust=sum(row), dividend=d)
    for m, c, i in zip(ms, C, incentive):
        m.update(consensus=c, incentive=i)

def join(e):
    """What evaluators agree on: the median of what others' rows found, by the stake that counts."""
    owner, counted = dict(zip(e["roster"], e["owners"])), {c["name"]: c["counted"] for c in e["companies"]}
    for m in e["models"]:
        found, n = m["found"] or [], len(owner)
        by = [[(v, counted.get(x, 0)) for x, v in zip(e["evaluators"] or [], found[k::n]) if owner[x] != owner[p]]
              for k, p in enumerate(e["roster"])]
        m["values"] = [median(of) for of in by] if len(found) > n else m["found"]

def rows(pot, e, pay):
    """What companies' rows earn and cost, model by model."""
    escrow = dict(zip(e["roster"], e["escrows"]))
    for m, part in zip(e["models"], split(pot, [m["model"] for m in e["models"]], [m["incentive"] for m in e["models"]])):
        root = list(range(len(e["roster"])))  # near-copies count once, as who contributed first
        for pair in m["copies"] or []:
            a, b = sorted((root[i] for i in pair), key=lambda i: (e["order"][i], i))
            root = [a if r == b else r for r in root]
        phi = {n: v for k, (n, v) in enumerate(zip(e["roster"], m["values"] or [])) if root[k] == k or v < 0}
        good, harm = sum(v for v in phi.values() if v > 0), -sum(v for v in phi.values() if v < 0)
        fund, missing = part, 0
        for n in (n for n, v in phi.items() if v < 0):
            cost = part * -phi[n] // (good - harm if good > harm else harm)
            took = min(cost, escrow[n] - pay[n]["debit"])
            pay[n]["debit"] += took
            pay[n]["owed"] = min(TOP, pay[n]["owed"] + min(TOP, cost - took))
            fund, missing = fund + took, missing + cost - took
        fund = fund * (good * part - missing * (good - harm)) // (good * part) if good > harm and part else 0
        for n, units in zip(sorted(phi), split(fund, sorted(phi), [max(phi[n], 0) for n in sorted(phi)])):
            pay[n]["provider"] += units
    for p in pay.values():
        for against in "debit", "owed":  # come out of what was earned with other models
            less = min(p["provider"], p[against])
            p["provider"], p[against] = p["provider"] - less, p[against] - less

def recompute(e):
    part = lambda name: (e["rules"][name] << 32) // 10**6
    pay = collections.defaultdict(lambda: dict.fromkeys(WHAT, 0))
    rank(e, part)
    join(e)
    cut, xi, lam = part("cut"), part("evaluate"), part("provide")
    rest = [cut * ONE * ONE] + [(ONE - cut) * w for w in (xi * ONE, (ONE - xi) * (ONE - lam), (ONE - xi) * lam)]
    pools = split(e["pot"], "0123", rest)
    rows(pools[3], e, pay)
    for who, what, pool, weight in (([dict(name=n) for n in e["operators"] or []], "operator", pools[0], lambda x: 1),
                                    (e["companies"], "evaluator", pools[1], lambda x: x["dividend"]),
                                    (e["models"], "peer", pools[2], lambda x: x["incentive"])):
        for x, units in zip(who, split(pool, [x.get("model", x.get("name")) for x in who], [weight(x) for x in who])):
            pay[x["peer" if what == "peer" else "name"]][what] += units
    total = {what: sum(p[what] for p in pay.values()) for what in WHAT}
    e["paid"] = dict(operators=total["operator"], evaluators=total["evaluator"], peers=total["peer"], providers=total["provider"],
                     debited=total["debit"], carried=e["pot"] + total["debit"] - sum(total[w] for w in WHAT[:4]))
    e["payouts"] = {n: p for n, p in pay.items() if n in e["payouts"] or any(p.values())}

wrong = len(sys.argv) < 2
for name in sys.argv[1:]:
    said, mine = json.load(open(name)), json.load(open(name))
    for e in (said, mine):
        e["companies"], e["models"] = e["companies"] or [], e["models"] or []
    recompute(mine)
    wrong |= said != mine
    print(name, "differs" if said != mine else f"as recorded: {said['pot']} credits, {len(said['payouts'])} members")
sys.exit(wrong)
