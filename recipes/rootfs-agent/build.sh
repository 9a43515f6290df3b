#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Needs: /deps/agent or AGENT_TARBALL; AGENT_POLICY, AGENT_POLICY_FILE or /src/kata or /recipe/allow-all.rego;
# the builder's certificates; CROSS_COMPILE, TARGET.
# Leaves: /out/$TARGET: the agent, stripped, with its units; etc/kata-opa; etc/ssl.
set -eu
umask 022
out=/out/$TARGET

if [ -n "$AGENT_TARBALL" ]; then
    # Whoever packed it had another user than this step, which is the only one it can give files to.
    if ! tar -xf "$AGENT_TARBALL" -C "$out" --no-same-owner; then
        echo "AGENT_TARBALL is no tarball that tar can unpack" >&2
        exit 1
    fi
else
    cp -a /deps/agent/. "$out"
fi
agent=$out/usr/bin/kata-agent
if [ ! -f "$agent" ] || [ -L "$agent" ]; then
    echo "the agent's tarball has no file usr/bin/kata-agent" >&2
    exit 1
fi
"${CROSS_COMPILE}strip" "$agent"
chmod 0755 "$agent"

if [ "$AGENT_POLICY" = yes ]; then
    if [ -n "$AGENT_POLICY_FILE" ]; then
        policy=$AGENT_POLICY_FILE
    elif [ -d /src/kata ]; then
        policy=/src/kata/src/kata-opa/allow-all.rego
    else
        policy=$(dirname "$0")/allow-all.rego
        echo "the agent's policy allows everything: there is no AGENT_POLICY_FILE" >summary
    fi
    install -D -m 0644 "$policy" "$out/etc/kata-opa/$(basename "$policy")"
    ln -sf "$(basename "$policy")" "$out/etc/kata-opa/default-policy.rego"
elif [ -n "$AGENT_POLICY_FILE" ]; then
    echo "AGENT_POLICY_FILE is given, but AGENT_POLICY=no leaves policies out" >&2
    exit 1
fi

# What update-ca-certificates makes of all of them, in the order of their names.
mkdir -p "$out/etc/ssl/certs" "$out/usr/lib/ssl"
certificates=(/usr/share/ca-certificates/mozilla/*.crt)
if [ ! -f "${certificates[0]}" ]; then
    echo "there are no certificates in /usr/share/ca-certificates/mozilla: the builder needs the package ca-certificates" >&2
    exit 1
fi
cat "${certificates[@]}" >"$out/etc/ssl/certs/ca-certificates.crt"
# A link that leads out of the tarball would keep it from being unpacked for other steps.
ln -s ../../../etc/ssl/certs/ca-certificates.crt "$out/usr/lib/ssl/cert.pem"
