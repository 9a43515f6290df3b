#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a made-up project: make-graph.py DIRECTORY SIZE [flat]. Target i needs i-1 and i/2; flat: the last one needs all others."""
import os
import sys

folder, size, flat = sys.argv[1], int(sys.argv[2]), "flat" in sys.argv[3:]
os.makedirs(f"{folder}/recipes")
with open(f"{folder}/versions.yaml", "w") as f:
    f.write("externals: {}\n")
for i in range(size):
    os.mkdir(f"{folder}/recipes/n{i}")
    needs = sorted({f"n{i - 1}", f"n{i // 2}"}) if i else []
    if flat:
        needs = [f"n{k}" for k in range(i)] if i == size - 1 else []
    with open(f"{folder}/recipes/n{i}/recipe.yaml", "w") as f:
        f.write("description: node\narchitectures: [x86_64, s390x, aarch64, ppc64le]\n"
                "builder: {name: one, packages: [bash], tools: [bash]}\nrelease: no\nrun: b.sh\n"
                f"needs: [{', '.join(needs)}]\n")
    with open(f"{folder}/recipes/n{i}/b.sh", "w") as f:
        f.write("mkdir -p /out/$TARGET/opt; echo x >/out/$TARGET/opt/$TARGET\n")
