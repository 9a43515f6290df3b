# SPDX-License-Identifier: Apache-2.0
# An image's configuration (OCI Image Format, "Image Configuration") as a runtime specification (OCI Runtime, "Configuration"), after
# the image format's "Conversion to OCI Runtime Configuration". Defaults are those of the tool that upstream unpacks with.

def capabilities: ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

# USER of an image: UID or UID:GID. Names would need the image's /etc/passwd.
def user:
  (.User // "") as $user
  | if $user == "" then {uid: 0, gid: 0}
    elif $user | test("^[0-9]{1,9}(:[0-9]{1,9})?$") then
      ($user | split(":") | map(tonumber)) | {uid: .[0], gid: (.[1] // 0)}
    else error("the image's user '\($user)' is no number")
    end;

# The defaults, each replaced by the image's variable of that name; the image's other ones after them.
def environment:
  reduce (.Env // [])[] as $entry (
    ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"];
    ($entry | split("=")[0] + "=") as $name
    | (map(startswith($name)) | index(true)) as $at
    | if $at == null then . + [$entry] else .[$at] = $entry end
  );

def arguments:
  ((.Entrypoint // []) + (.Cmd // []))
  | if length == 0 then error("the image names no program") else . end;

def hidden: {
  maskedPaths: ["/proc/kcore", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
  readonlyPaths: ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
};

def mounts: [
  {destination: "/proc", type: "proc", source: "proc"},
  {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]},
  {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
  {destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
  {destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
  {destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"]},
  {destination: "/etc/resolv.conf", type: "bind", source: "/etc/resolv.conf", options: ["rbind", "ro"]}
];

def annotations:
  (.config.Labels // {}) + {
    "org.opencontainers.image.architecture": (.architecture // ""),
    "org.opencontainers.image.author": (.author // ""),
    "org.opencontainers.image.created": (.created // ""),
    "org.opencontainers.image.exposedPorts": ((.config.ExposedPorts // {}) | keys | join(",")),
    "org.opencontainers.image.os": (.os // ""),
    "org.opencontainers.image.stopSignal": (.config.StopSignal // "")
  };

. as $image
| .config
| {
    ociVersion: "1.0.0",
    process: {
      terminal: true,
      user: user,
      args: arguments,
      env: environment,
      cwd: (if (.WorkingDir // "") == "" then "/" else .WorkingDir end),
      capabilities: {
        bounding: capabilities, effective: capabilities, inheritable: capabilities, permitted: capabilities, ambient: capabilities
      },
      rlimits: [{type: "RLIMIT_NOFILE", hard: 1024, soft: 1024}],
      noNewPrivileges: true
    },
    root: {path: "rootfs"},
    hostname: "umoci-default",
    mounts: mounts,
    annotations: ($image | annotations),
    linux: ({
      uidMappings: [{containerID: 0, hostID: 0, size: 1}],
      gidMappings: [{containerID: 0, hostID: 0, size: 1}],
      namespaces: (["pid", "ipc", "uts", "mount", "user"] | map({type: .}))
    } + hidden)
  }
