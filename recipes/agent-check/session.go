// SPDX-License-Identifier: Apache-2.0

// The exchange with the agent: from the connection to a sandbox that is gone again.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	agent "github.com/kata-containers/kata-containers/src/runtime/virtcontainers/pkg/agent/protocols/grpc"
)

const (
	sandboxID   = "agent-check"
	containerID = "agent-check-container"
	outputLimit = 1 << 20
	readSize    = 4096
)

type session struct {
	options *options
	health  agent.HealthService
	service agent.AgentServiceService
}

func newSession(o *options) *session { return &session{options: o} }

func (s *session) steps() []step {
	return []step{
		{"connect", s.connect},
		{"Health.Check", s.checkHealth},
		{"Health.Version", s.askVersion},
		{"GetGuestDetails", s.askGuestDetails},
		{"CreateSandbox", s.createSandbox},
		{"CreateContainer", s.createContainer},
		{"StartContainer", s.startContainer},
		{"ReadOutput", s.readOutput},
		{"WaitProcess", s.waitProcess},
		{"RemoveContainer", s.removeContainer},
		{"DestroySandbox", s.destroySandbox},
	}
}

func (s *session) connect(ctx context.Context) (report, error) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", s.options.socket)
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(connection)
	s.health = agent.NewHealthClient(client)
	s.service = agent.NewAgentServiceClient(client)
	return report{"socket": s.options.socket}, nil
}

func (s *session) checkHealth(ctx context.Context) (report, error) {
	answer, err := s.health.Check(ctx, &agent.CheckRequest{})
	if err != nil {
		return nil, err
	}
	more := report{"status": answer.GetStatus().String()}
	if answer.GetStatus() != agent.HealthCheckResponse_SERVING {
		return more, errors.New("the agent does not say that it is serving")
	}
	return more, nil
}

func (s *session) askVersion(ctx context.Context) (report, error) {
	answer, err := s.health.Version(ctx, &agent.CheckRequest{})
	if err != nil {
		return nil, err
	}
	return report{"agent_version": answer.GetAgentVersion(), "api_version": answer.GetGrpcVersion()}, nil
}

func (s *session) askGuestDetails(ctx context.Context) (report, error) {
	answer, err := s.service.GetGuestDetails(ctx, &agent.GuestDetailsRequest{MemBlockSize: true})
	if err != nil {
		return nil, err
	}
	details := answer.GetAgentDetails()
	return report{
		"version":          details.GetVersion(),
		"init_daemon":      details.GetInitDaemon(),
		"supports_seccomp": details.GetSupportsSeccomp(),
		"extra_features":   details.GetExtraFeatures(),
		"device_handlers":  details.GetDeviceHandlers(),
		"storage_handlers": details.GetStorageHandlers(),
	}, nil
}

func (s *session) createSandbox(ctx context.Context) (report, error) {
	_, err := s.service.CreateSandbox(ctx, &agent.CreateSandboxRequest{Hostname: sandboxID, SandboxId: sandboxID})
	return nil, err
}

func (s *session) createContainer(ctx context.Context) (report, error) {
	_, err := s.service.CreateContainer(ctx, &agent.CreateContainerRequest{
		ContainerId: containerID,
		ExecId:      containerID,
		OCI:         containerSpec(s.options),
	})
	return report{"command": s.options.command}, err
}

func (s *session) startContainer(ctx context.Context) (report, error) {
	_, err := s.service.StartContainer(ctx, &agent.StartContainerRequest{ContainerId: containerID})
	return nil, err
}

type readFunction func(context.Context, *agent.ReadStreamRequest) (*agent.ReadStreamResponse, error)

// readStream reads to the end, which the agent reports as an error that names it. Empty data without an error is how it
// hides what its policy does not let out.
func readStream(ctx context.Context, read readFunction) (string, error) {
	var text strings.Builder
	for text.Len() < outputLimit {
		answer, err := read(ctx, &agent.ReadStreamRequest{ContainerId: containerID, ExecId: containerID, Len: readSize})
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "eof") && ctx.Err() == nil {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
		if len(answer.GetData()) == 0 {
			return text.String(), errors.New("the agent hides the output: its policy forbids ReadStreamRequest")
		}
		text.Write(answer.GetData())
	}
	return text.String(), fmt.Errorf("more than %d bytes of output", outputLimit)
}

// readOutput takes both streams before WaitProcess, which closes them.
func (s *session) readOutput(ctx context.Context) (report, error) {
	var stdout, stderr string
	var stdoutErr, stderrErr error
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		stdout, stdoutErr = readStream(ctx, s.service.ReadStdout)
	}()
	go func() {
		defer both.Done()
		stderr, stderrErr = readStream(ctx, s.service.ReadStderr)
	}()
	both.Wait()
	more := report{"stdout": stdout, "stderr": stderr}
	if err := errors.Join(stdoutErr, stderrErr); err != nil {
		return more, err
	}
	for _, text := range s.options.expect {
		if !strings.Contains(stdout, text) {
			return more, fmt.Errorf("the container's output lacks %q", text)
		}
	}
	return more, nil
}

func (s *session) waitProcess(ctx context.Context) (report, error) {
	answer, err := s.service.WaitProcess(ctx, &agent.WaitProcessRequest{ContainerId: containerID, ExecId: containerID})
	if err != nil {
		return nil, err
	}
	more := report{"exit_status": answer.GetStatus()}
	if int(answer.GetStatus()) != s.options.status {
		return more, fmt.Errorf("exit status %d instead of %d", answer.GetStatus(), s.options.status)
	}
	return more, nil
}

func (s *session) removeContainer(ctx context.Context) (report, error) {
	_, err := s.service.RemoveContainer(ctx, &agent.RemoveContainerRequest{ContainerId: containerID})
	return nil, err
}

// destroySandbox ends the agent: as the first process of a guest it powers the guest off, so that the connection may be gone before the
// answer is here.
func (s *session) destroySandbox(ctx context.Context) (report, error) {
	_, err := s.service.DestroySandbox(ctx, &agent.DestroySandboxRequest{})
	if errors.Is(err, ttrpc.ErrClosed) {
		return report{"note": "the guest ended before it answered"}, nil
	}
	return nil, err
}
