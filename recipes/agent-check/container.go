// SPDX-License-Identifier: Apache-2.0

// The container: the guest's own tree as its root, and namespaces, mounts, capabilities and a control group of its own.
package main

import (
	agent "github.com/kata-containers/kata-containers/src/runtime/virtcontainers/pkg/agent/protocols/grpc"
)

// capabilities are those that container engines give by default.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

func containerProcess(o *options) *agent.Process {
	return &agent.Process{
		User: &agent.User{},
		Args: o.command,
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"CHECK_WORD=" + o.word,
		},
		Cwd: "/",
		Capabilities: &agent.LinuxCapabilities{
			Bounding:  capabilities,
			Effective: capabilities,
			Permitted: capabilities,
		},
		NoNewPrivileges: true,
	}
}

func containerMounts() []*agent.Mount {
	return []*agent.Mount{
		{Destination: "/proc", Source: "proc", Type: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Source: "tmpfs", Type: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Source: "devpts", Type: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/sys", Source: "sysfs", Type: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	}
}

func containerSpec(o *options) *agent.Spec {
	return &agent.Spec{
		Version:  "1.0.2",
		Process:  containerProcess(o),
		Root:     &agent.Root{Path: "/"},
		Hostname: sandboxID,
		Mounts:   containerMounts(),
		Linux: &agent.Linux{
			CgroupsPath: "/" + containerID,
			Resources:   &agent.LinuxResources{},
			// The process namespace is the agent's to add.
			Namespaces: []*agent.LinuxNamespace{{Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
		},
	}
}
