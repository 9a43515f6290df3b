#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is a file in Chrome's trace event format, JSON array format, as viewers read it? check_trace.py FILE LABEL...

Each label must be a node's event. Nodes of one lane follow one another, and phases are within their node.
"""
import json
import sys

events = json.load(open(sys.argv[1], encoding="utf-8"))
assert isinstance(events, list) and events
lanes, names, nodes = {}, {}, []
for e in events:
    assert e["ph"] in ("X", "M"), e
    assert isinstance(e["name"], str) and isinstance(e["pid"], int) and isinstance(e["tid"], int), e
    if e["ph"] == "M":
        assert e["name"] in ("process_name", "thread_name") and isinstance(e["args"]["name"], str), e
        names[(e["name"], e["tid"])] = e["args"]["name"]
        continue
    assert isinstance(e["ts"], int) and isinstance(e["dur"], int) and e["ts"] >= 0 and e["dur"] >= 0, e
    assert isinstance(e["cat"], str) and isinstance(e["args"], dict), e
    lanes.setdefault(e["tid"], []).append(e)
for tid, lane in lanes.items():
    assert ("thread_name", tid) in names, tid
    of_lane = [e for e in lane if e["cat"] != "phase"]
    nodes += [e for e in of_lane if tid]
    for before, after in zip(of_lane, of_lane[1:]):
        assert before["ts"] + before["dur"] <= after["ts"], (before, after)
    for phase in (e for e in lane if e["cat"] == "phase"):
        assert any(n["ts"] <= phase["ts"] and phase["ts"] + phase["dur"] <= n["ts"] + n["dur"] for n in of_lane), phase
for label in sys.argv[2:]:
    mine = [e for e in nodes if e["name"] == label]
    assert len(mine) == 1, (label, mine)
    assert {"node", "key", "state", "cpu_ms", "peak_kib"} <= set(mine[0]["args"]), mine
print(len(events), "events,", len(lanes), "lanes")
