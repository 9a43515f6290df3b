// SPDX-License-Identifier: Apache-2.0

// agent-check runs one container through the API of an agent, as the runtime does, and says of each step what came of it.
//
//	agent-check --socket PATH [--timeout SECONDS] [--expect TEXT]... [--status NUMBER] [-- COMMAND [ARGUMENT]...]
//
// PATH is a unix socket that speaks ttrpc to the agent. Standard output gets one JSON object a line: {"step":NAME,"ok":true,"seconds":S,...},
// and for the step that failed {"step":NAME,"ok":false,"seconds":S,"error":TEXT}, which is the last line. Exit status: 0 if all steps
// were right, 1 if one was not, 2 if the command line is wrong.
//
// Without COMMAND the container runs a line of shell that reports a word of this run, its process id (1, since it has a namespace
// of its own) and its machine, and exits with status 3.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

type options struct {
	socket  string
	timeout time.Duration
	command []string
	expect  []string // texts that the standard output must contain
	status  int      // exit status that the command must have
	word    string   // the container's variable CHECK_WORD
}

// report is what a step says of itself, beside its name and its time.
type report map[string]any

type step struct {
	name string
	run  func(context.Context) (report, error)
}

const defaultStatus = 3

func defaultCommand(o *options) {
	o.command = []string{"/bin/sh", "-c", `echo "container $CHECK_WORD, process $$"; uname -m; exit 3`}
	o.expect = append(o.expect, fmt.Sprintf("container %s, process 1\n", o.word))
}

func parseArguments(arguments []string) (*options, error) {
	o := &options{word: fmt.Sprintf("%x", time.Now().UnixNano()), status: defaultStatus}
	flags := flag.NewFlagSet("agent-check", flag.ContinueOnError)
	flags.StringVar(&o.socket, "socket", "", "unix `PATH` that speaks ttrpc to the agent")
	seconds := flags.Float64("timeout", 60, "`SECONDS` for all steps together")
	flags.Func("expect", "`TEXT` that the command's output must contain (repeatable)", func(text string) error {
		o.expect = append(o.expect, text)
		return nil
	})
	status := flags.Int("status", -1, "exit status `NUMBER` that the command must have (default 0, or 3 without a command)")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	o.timeout = time.Duration(*seconds * float64(time.Second))
	o.command = flags.Args()
	switch {
	case o.socket == "":
		return nil, errors.New("--socket is required")
	case o.timeout <= 0:
		return nil, errors.New("--timeout must be more than 0")
	case len(o.command) == 0:
		defaultCommand(o)
	default:
		o.status = 0
	}
	if *status >= 0 {
		o.status = *status
	}
	return o, nil
}

// printLine writes the step's name first, and what it has to say of itself after that.
func printLine(name string, began time.Time, more report, err error) {
	head := struct {
		Step    string  `json:"step"`
		OK      bool    `json:"ok"`
		Seconds float64 `json:"seconds"`
		Error   string  `json:"error,omitempty"`
	}{name, err == nil, float64(time.Since(began).Milliseconds()) / 1000, ""}
	if err != nil {
		head.Error = err.Error()
	}
	text, _ := json.Marshal(head) // neither can fail: they hold texts, numbers and lists of texts
	if rest, _ := json.Marshal(more); len(more) > 0 {
		text = append(append(text[:len(text)-1], ','), rest[1:]...)
	}
	fmt.Printf("%s\n", text)
}

func runSteps(ctx context.Context, steps []step) error {
	for _, s := range steps {
		began := time.Now()
		more, err := s.run(ctx)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("no answer in time: %w", err)
		}
		printLine(s.name, began, more, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func main() {
	o, err := parseArguments(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		if text := err.Error(); strings.HasPrefix(text, "--") {
			fmt.Fprintf(os.Stderr, "agent-check: %s\n", text)
		}
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	// A call that does not heed its context must not keep the program.
	time.AfterFunc(o.timeout+2*time.Second, func() {
		printLine("timeout", time.Now(), nil, fmt.Errorf("the agent did not answer within %s", o.timeout))
		os.Exit(1)
	})
	if runSteps(ctx, newSession(o).steps()) != nil {
		os.Exit(1)
	}
}
