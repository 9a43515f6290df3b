# SPDX-License-Identifier: Apache-2.0
# A Slurm cluster on loopback for a whole file of tests, as root or as an ordinary user: slurm_start in setup_file, slurm_needed in setup, slurm_stop in
# teardown_file. After `load project` and `load shared_cache`.
#
# It has its own munged, slurmctld, slurmd for each worker, and docker-registry ($PORT), all below $CLUSTER, on ports that are free; the machine's own
# Slurm is neither used nor touched. sbatch, squeue and scontrol find the cluster by SLURM_CONF.
#
# A worker is a machine of its own as far as it can be: a PID namespace, so that killing its first process kills every process of its jobs, and at
# $CLUSTER/machine a folder that the other workers do not see ($CLUSTER/workers/0, 1, ... for a test). There is its cache: jobs have KBUILD_CACHE and
# the kbuild under test in PATH.

slurm_tools="munged slurmctld slurmd sbatch squeue scontrol unshare pgrep bwrap docker-registry"

# Skips a test if the cluster could not be started.
slurm_needed() {
  [ -z "${SLURM_MISSING:-}" ] || skip "$SLURM_MISSING is not installed"
}

# The variables of sbatch's and squeue's users are options; those of a job that runs the tests, too.
slurm_forget_environment() {
  local name
  for name in "${!SLURM@}" "${!SBATCH_@}" "${!SQUEUE_@}" "${!SCANCEL_@}" "${!SINFO_@}"; do
    case $name in SLURM_MISSING) ;; *) unset "$name" ;; esac
  done
}

slurm_start() { # [WORKERS [FOLDER_THAT_WORKERS_DO_NOT_SEE]...]
  local tool
  export PATH=$PATH:/usr/sbin:/sbin
  for tool in $slurm_tools; do
    command -v "$tool" >/dev/null || { export SLURM_MISSING=$tool; return 0; }
  done
  slurm_forget_environment
  export CLUSTER=$BATS_FILE_TMPDIR/slurm WORKERS=${1:-2}
  shift || true
  mkdir "$CLUSTER"
  printf '%s\n' "$@" >"$CLUSTER/hidden"
  # shellcheck disable=SC2034 # start_registry reads it
  local PROJECT=$CLUSTER
  start_registry
  export PORT REGISTRY_PID
  slurm_start_munged || { slurm_logs; return 1; }
  for _ in 1 2 3 4 5; do
    slurm_configure
    slurm_start_daemons && return 0
    slurm_stop_daemons
  done
  slurm_logs
  return 1
}

slurm_start_munged() {
  # --force: munged wants that everybody can reach its socket, but the folder of the tests is the user's alone.
  mkdir -m 755 "$CLUSTER/munge"
  (umask 077 && head -c 128 /dev/urandom >"$CLUSTER/munge/key")
  munged --force --foreground --socket="$CLUSTER/munge/socket" --key-file="$CLUSTER/munge/key" --pid-file="$CLUSTER/munge/pid" \
    --seed-file="$CLUSTER/munge/seed" --log-file="$CLUSTER/munge/log" --num-threads=2 >"$CLUSTER/munged.out" 2>&1 3>&- &
  echo "$!" >"$CLUSTER/munged.pid"
  for _ in $(seq 100); do
    munge --socket="$CLUSTER/munge/socket" --no-input >/dev/null 2>&1 && return 0
    kill -0 "$(cat "$CLUSTER/munged.pid")" || return 1
    sleep 0.05
  done
  return 1
}

slurm_configure() {
  # Below the ports that the kernel gives to clients; if another has one of them, a daemon ends.
  local port=$((20000 + RANDOM % 12000)) i user host
  user=$(id -un)
  host=$(uname -n)
  host=${host%%.*}
  export SLURM_CONF=$CLUSTER/slurm.conf
  rm -rf "$CLUSTER/state"
  # slurmd adds the login environment of a job's user, whatever the profile of who runs the tests has in it and however
  # long that takes. With GetEnvTimeout=0 it is what this file says.
  mkdir -p "$CLUSTER/state/env_cache"
  echo "SHELL=/bin/sh" >"$CLUSTER/state/env_cache/$user"
  cat >"$SLURM_CONF" <<X
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge/socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/machine/spool
SlurmctldPidFile=$CLUSTER/slurmctld.pidfile
SlurmdPidFile=$CLUSTER/machine/slurmd.pidfile
SlurmctldLogFile=$CLUSTER/slurmctld.log
SlurmdLogFile=$CLUSTER/machine/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PriorityType=priority/basic
ReturnToService=2
GetEnvTimeout=0
SlurmdTimeout=1
MessageTimeout=3
TCPTimeout=1
DefMemPerCPU=256
KillWait=5
TaskProlog=$CLUSTER/task-prolog
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
X
  for ((i = 0; i < WORKERS; i++)); do
    echo "NodeName=worker$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + i)) CPUs=2 RealMemory=4096" \
      "Feature=x86_64,s390x,network,trusted" >>"$SLURM_CONF"
  done
  cat >"$CLUSTER/task-prolog" <<X
#!/bin/sh
echo "export KBUILD_CACHE=$CLUSTER/machine/cache"
echo "export PATH=$(dirname "$KBUILD"):\$PATH"
X
  chmod +x "$CLUSTER/task-prolog"
}

slurm_start_daemons() {
  local i
  slurmctld -D -c >"$CLUSTER/slurmctld.out" 2>&1 3>&- &
  echo "$!" >"$CLUSTER/slurmctld.pid"
  for ((i = 0; i < WORKERS; i++)); do slurm_revive_worker "$i"; done
  for _ in $(seq 200); do
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = "$WORKERS" ] && return 0
    kill -0 "$(cat "$CLUSTER/slurmctld.pid")" || return 1
    for ((i = 0; i < WORKERS; i++)); do kill -0 "$(cat "$CLUSTER/workers/$i/pid")" || return 1; done
    sleep 0.05
  done 2>/dev/null
  return 1
}

# Starts a worker: the first time, or after slurm_kill_worker. Not bwrap's own PID namespace: it hides parts of /proc, and then kbuild's sandbox in it
# could not mount one.
slurm_revive_worker() { # N
  local own=$CLUSTER/workers/$1 namespaces=(--mount --pid --mount-proc) hidden=(--tmpfs "$CLUSTER/workers") folder
  [ "$(id -u)" -eq 0 ] || namespaces+=(--user --map-current-user)
  mkdir -p "$own/spool" "$own/cache" "$CLUSTER/machine"
  while read -r folder; do [ -z "$folder" ] || hidden+=(--tmpfs "$folder"); done <"$CLUSTER/hidden"
  unshare "${namespaces[@]}" --fork --kill-child bwrap --dev-bind / / --bind "$own" "$CLUSTER/machine" "${hidden[@]}" \
    slurmd -D -N "worker$1" >"$own/slurmd.out" 2>&1 3>&- &
  echo "$!" >"$own/pid"
}

# As if somebody pulled the plug: kill -9 of slurmd and of all processes of its jobs. Slurm sees it after some 6 seconds, and starts its jobs
# again 6 seconds after that (cred_expire); with `scontrol update NodeName=workerN State=DOWN Reason=killed` it need not wait to see it.
slurm_kill_worker() { # N
  local first
  first=$(pgrep -P "$(cat "$CLUSTER/workers/$1/pid")")
  kill -9 "$first"
  while kill -0 "$first" 2>/dev/null; do sleep 0.02; done
}

# Waits until no job is pending or running.
slurm_wait_idle() { # [SECONDS]
  local end=$((SECONDS + ${1:-60})) jobs
  while jobs=$(squeue -h -o %i) || return 1; [ -n "$jobs" ]; do
    [ "$SECONDS" -lt "$end" ] || { echo "still there after ${1:-60} s:" >&2; slurm_jobs >&2; return 1; }
    sleep 0.1
  done
}

# All jobs, those that ended in the last minutes, too, as "ID|STATE|REASON|NODES|EXIT:SIGNAL|NAME" a line. squeue has what wait() says.
slurm_jobs() {
  squeue -h -t all -O 'JobID:|,State:|,Reason:|,NodeList:|,exit_code:|,Name:' | sort -n |
    awk -F'|' -v OFS='|' '{$5 = int($5 / 256) ":" $5 % 128; print}'
}

slurm_stop_daemons() {
  local i
  for ((i = 0; i < WORKERS; i++)); do slurm_kill_worker "$i" 2>/dev/null || true; done
  slurm_end slurmctld
}

# Waits, too: nothing may write any more when bats removes the folder.
slurm_end() { # NAME
  local pid
  pid=$(cat "$CLUSTER/$1.pid") || return 0
  { kill -9 "$pid" && wait "$pid"; } 2>/dev/null || true
}

slurm_stop() {
  [ -n "${CLUSTER:-}" ] || return 0
  slurm_stop_daemons
  slurm_end munged
  stop_registry
}

# What the daemons said, for a test that failed.
slurm_logs() {
  tail -n 30 "$CLUSTER"/*.out "$CLUSTER"/*.log "$CLUSTER"/workers/*/slurmd.* >&2 || true
}
