// Command commonseal trains and serves models under one common key.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the command line: subcommands are wired here and nowhere else.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	return execute(newRoot(commands(runFederation)...), args, in, out, errs)
}

// commands are all there are.
func commands(simulate simulateFunc) []*cobra.Command {
	return []*cobra.Command{
		newDemo(), newSimulate(simulate),
		newKeygen(), newFound(), newJoin(), newMember(), newUpgrade(), newStatus(),
		newValidator(), newAggregator(), newAgent(), newChecker(),
		newTask(), newContribute(), newTrain(),
		newQuerier(), newAdmit(), newPredict(), newUsage(), newAudit(), newChallenge(),
		newCredits(), newReward(), newIncentive(),
		newParams(), newVersion(),
	}
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for could not be done
	exitUsage  = 2 // what was asked for is not a thing to ask
)

// A usageError is about the command line itself.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }

// errSaid is a failure of which the output says everything.
var errSaid = errors.New("not everything passed")

// execute runs one command and turns its error into one line and a code. The
// first interrupt cancels the command's context, the second ends the process.
func execute(root *cobra.Command, args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by default

	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errSaid) {
		return exitFailed
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; nothing was kept, run it again to start over")
	}
	fmt.Fprintf(errs, "commonseal: %s\n", strings.Join(strings.Fields(err.Error()), " "))
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// helpTemplate leads with what most readers came for.
const helpTemplate = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}{{end}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .Runnable}}
Usage:
  {{.UseLine}}
{{end}}{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}`

// newRoot is the command without arguments: it explains itself.
func newRoot(commands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "commonseal",
		Short: "Companies train one model under one common key that nobody holds",
		Long: `Companies train one model on rows that none of them shows, under one common
key that all of them made and none of them holds. Only the asker reads answers.`,
		Example: `  commonseal simulate --data rows.csv --label churned --companies 3 --steps 10
  commonseal keygen --home ann --name ann --owner "Ann Ltd" --role company
  commonseal found consortium.yaml *.member.yaml
  commonseal join --home ann genesis.json network.yaml
  commonseal status --home ann`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf(" did you mean %q?", near[0])
			}
			return &usageError{fmt.Sprintf("unknown command %q;%s run commonseal --help", args[0], hint)}
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true, // execute prints them, in one line
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Sprintf("%v; run %s --help", err, c.CommandPath())}
	})
	root.AddCommand(commands...)
	return root
}

// noArguments refuses words that are not flags.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Sprintf("%s takes no argument, but got %q; run %s --help", c.Name(), args[0], c.CommandPath())}
	}
	return nil
}
