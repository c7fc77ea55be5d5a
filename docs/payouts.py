#!/usr/bin/env python3
"""Computes every payment of exported reward epochs again, from their inputs alone.

    commonseal audit payouts --home DIR --export epochs
    python3 docs/payouts.py epochs/*.json

Needs nothing but Python 3. Written from docs/rewards.md, not from the ledger's code.
Numbers called Q32 are integers: the number times 2^32, products rounded down."""
import json, sys

ONE, MILLION, TOP = 1 << 32, 10**6, (1 << 64) - 1


def div(a, b):
    return (a << 32) // b if b else 0  # nothing here is negative


def norm(xs):
    return [div(x, sum(xs)) for x in xs] if sum(xs) else list(xs)


def split(pot, shares):
    """Largest remainder; shares are (id, weight), equal remainders by id."""
    total = sum(w for _, w in shares)
    if not total:
        return [0] * len(shares)
    out = [pot * w // total for _, w in shares]
    by = sorted(range(len(shares)), key=lambda i: (-(pot * shares[i][1] % total), shares[i][0], i))
    for i in by[:pot - sum(out)]:
        out[i] += 1
    return out


def capped(companies, cap):
    """Stakes of which no owner's is more than its part of what counts."""
    count, owners = [c["stake"] for c in companies], {}
    for i, c in enumerate(companies):
        if c["stake"]:
            owners.setdefault(c["owner"], []).append(i)
    if not 0 < cap < ONE or not owners:
        return count
    held = sorted((sum(count[i] for i in rows) for rows in owners.values()), reverse=True)
    level, rest = held[-1], sum(held)
    for k, biggest in enumerate(held):
        free = ONE - cap * k
        if free <= 0:
            break
        if cap * rest // free >= biggest:
            level = cap * rest // free
            break
        rest -= biggest
    for rows in owners.values():
        if sum(count[i] for i in rows) > level:
            for i, units in zip(rows, split(level, [(companies[i]["name"], count[i]) for i in rows])):
                count[i] = units
    return count


def columns(m, n):
    sums = [sum(row[j] for row in m) for j in range(n)]
    return [[div(x, s) for x, s in zip(row, sums)] for row in m]


def rank(e, part):
    """Median consensus, clipping, bonds: fills in what a company and a model earn."""
    cs, ms = e["companies"], e["models"]
    stakes = capped(cs, part("cap"))
    W = []
    for c in cs:
        own = {m["model"] for m in ms if m["owner"] == c["owner"]}
        row = {w["model"]: w["part"] for w in c["weights"] or [] if w["model"] not in own}
        total = sum(row.get(m["model"], 0) for m in ms)
        W.append([div(row.get(m["model"], 0), total) for m in ms])
    A = norm([div(s, sum(stakes)) for s in stakes])
    C = [max((w for w in (r[j] for r in W) if 2 * sum(s for s, r in zip(stakes, W) if r[j] >= w) > sum(stakes)), default=0)
         for j in range(len(ms))]
    clipped = [[min(w, c) for w, c in zip(row, C)] for row in W]
    incentive = norm([sum(a * r[j] >> 32 for a, r in zip(A, clipped)) for j in range(len(ms))])
    beta, alpha = part("penalty"), part("smoothing")
    bought = [[c if beta == ONE else w + (beta * (c - w) >> 32) for w, c in zip(r, k)] for r, k in zip(W, clipped)]
    held = {(b["company"], b["model"]): b["value"] for b in e["bonds"] or []}
    new = columns([[x * a >> 32 for x in row] for row, a in zip(bought, A)], len(ms))
    old = columns([[held.get((c["name"], m["model"]), 0) for m in ms] for c in cs], len(ms))
    bonds = columns([[(alpha * x >> 32) + ((ONE - alpha) * y >> 32) for x, y in zip(r, s)] for r, s in zip(new, old)], len(ms))
    dividends = norm([sum(b * i >> 32 for b, i in zip(row, incentive)) for row in bonds])
    for c, s, r, d in zip(cs, stakes, clipped, dividends):
        c.update(counted=s, trust=sum(r), dividend=d)
    for m, c, i in zip(ms, C, incentive):
        m.update(consensus=c, incentive=i)


def first_of(copies, order):
    root = list(range(len(order)))
    for a, b in copies or []:
        a, b = sorted((root[a], root[b]), key=lambda i: (order[i], i))
        root = [a if r == b else r for r in root]
    return root


def data(pot, e):
    """What rows earn and cost: (credits, debits, owed) by company, and what is carried."""
    credit, debit, owed, carried = {}, {}, {}, pot
    for m, part in zip(e["models"], split(pot, [(m["model"], m["incentive"]) for m in e["models"]])):
        root = first_of(m["copies"], e["order"])
        phi = {e["roster"][k]: v for k, v in enumerate(m["values"] or []) if root[k] == k or v < 0}
        good, harm = sum(v for v in phi.values() if v > 0), -sum(v for v in phi.values() if v < 0)
        total, missing = part, 0
        for name, v in phi.items():
            if v < 0:
                cost = part * -v // (good - harm if good > harm else harm)
                took = min(cost, TOP, e["escrows"][e["roster"].index(name)] - debit.get(name, 0))
                debit[name], total, missing = debit.get(name, 0) + took, total + took, missing + cost - took
                owed[name] = min(TOP, owed.get(name, 0) + min(TOP, cost - took))
        fund = total * (good * part - missing * (good - harm)) // (good * part) if good > harm and part else 0
        names = sorted(phi)
        for name, units in zip(names, split(fund, [(n, max(phi[n], 0)) for n in names])):
            credit[name] = credit.get(name, 0) + units
        carried += total - fund - part
    for n in sorted(set(credit) | set(debit)):
        back = min(credit.get(n, 0), debit.get(n, 0))
        credit[n], debit[n] = credit.get(n, 0) - back, debit.get(n, 0) - back
        kept = min(credit[n], owed.get(n, 0))
        credit[n], owed[n], carried = credit[n] - kept, owed.get(n, 0) - kept, carried + kept
    return credit, debit, owed, carried


def recompute(e):
    part = lambda name: (e["rules"][name] << 32) // MILLION
    rank(e, part)
    cut, xi, lam = part("cut") * e["pot"] >> 32, part("evaluate"), part("provide")
    cut = e["pot"] if part("cut") == ONE else cut
    pools = split(e["pot"] - cut, [("0", xi * ONE), ("1", (ONE - xi) * (ONE - lam)), ("2", (ONE - xi) * lam)])
    pay = {}
    def give(name, what, units):
        pay.setdefault(name, dict(operator=0, evaluator=0, peer=0, provider=0, debit=0, owed=0))[what] += units
        return units
    ops = e["operators"] or []
    p = dict(operators=sum(give(n, "operator", u) for n, u in zip(ops, split(cut, [(n, 1) for n in ops]))))
    p["evaluators"] = sum(give(c["name"], "evaluator", u) for c, u in zip(e["companies"], split(pools[0], [(c["name"], c["dividend"]) for c in e["companies"]])))
    p["peers"] = sum(give(m["peer"], "peer", u) for m, u in zip(e["models"], split(pools[1], [(m["model"], m["incentive"]) for m in e["models"]])))
    credit, debit, owed, _ = data(pools[2], e)
    p["providers"], p["debited"] = (sum(give(n, what, u) for n, u in d.items() if u) for what, d in (("provider", credit), ("debit", debit)))
    for n, u in owed.items():
        if u:
            give(n, "owed", u)
    p["carried"] = e["pot"] + p["debited"] - p["operators"] - p["evaluators"] - p["peers"] - p["providers"]
    e["paid"], e["payouts"] = p, pay


wrong = 0
for name in sys.argv[1:]:
    said, mine = json.load(open(name)), json.load(open(name))
    for e in (said, mine):
        e["companies"], e["models"] = e["companies"] or [], e["models"] or []
    recompute(mine)
    wrong += said != mine
    print(name, "differs" if said != mine else f"as recorded: {said['pot']} credits to {len(said['payouts'])} members")
sys.exit(wrong > 0 or len(sys.argv) < 2)
